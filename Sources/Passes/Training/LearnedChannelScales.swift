import Foundation
package import KaratEngine
package import KaratGraphs
package import KaratKernels
import KaratTensors

/// Factors between what makes a value and the layers that read it, learned beside the weights
/// (OmniQuant, Shao et al., 2024).
///
/// Channel c of the value is divided by e^t and column c of the layers' weights multiplied by it, so
/// that only what rounding and clipping do depends on t: channels that are much larger than others
/// learn to share the range with them. After each step the factors go into the weights, and t is 0
/// again: the graph is what it was. Costs two passes over the weights in a step.
package final class LearnedChannelScales {
  private struct Place {
    let group: SmoothingGroup
    /// t of each channel of what makes the value.
    let logarithms: ParameterSet.Item
    /// How many numbers the gradients of t are sums of, per channel: they are divided by its root, as
    /// those of step sizes are, or they would be all of the gradient's length.
    let fanIn: Double
    /// Whether a range that was found before is shared by the channels.
    let isStatic: Bool
  }

  private let places: [Place]
  private let parameters: ParameterSet
  private let scales: [TensorName: TensorName]
  private let workers: Workers

  /// Finds the places of a graph in which channels can be rescaled.
  ///
  /// - Parameters:
  ///   - quantized: the model in training; a place counts where a layer of it rounds its weight, and
  ///     all of its parameters learn.
  ///   - workers: the threads.
  /// - Throws: `GraphError` where a rule is broken.
  package init(of quantized: TrainableQuantization, on workers: Workers) throws(GraphError) {
    let twin = try quantized.graph.inFloatingPoint()
    let rounded = Dictionary(
      quantized.layers.map { ($0.weight, $0) },
      uniquingKeysWith: { first, _ in first }
    )
    let parameters = quantized.parameters
    let groups = twin.smoothingGroups(among: twin.linearLayers.filter { !$0.isRouted })
    places = groups.compactMap { group in
      let names = group.producerParameters + group.layers.map(\.weight)
      guard group.layers.contains(where: { rounded[$0.weight] != nil }),
        names.allSatisfy({ parameters.contains($0) && parameters[$0].gradient != nil })
      else { return nil }
      return Place(
        group: group,
        logarithms: ParameterSet.Item(
          group.layers[0].path / "channel_logarithms",
          zeros: [group.sourceCount],
          isTrained: true
        ),
        fanIn: Double(group.layers.reduce(0) { $0 + $1.shape[0] }),
        isStatic: group.layers.contains { rounded[$0.weight]?.leader != nil }
      )
    }
    self.parameters = parameters
    scales = rounded.mapValues(\.weightScale)
    self.workers = workers
  }

  /// The logarithms of all places; they are 0 whenever no step is being taken.
  package var items: [ParameterSet.Item] { places.map(\.logarithms) }

  /// How fast the logarithms of each place learn, by their names.
  ///
  /// Where channels share no static range, the rounding of weights alone tells factors apart: so little
  /// that Adam would follow its noise. They learn at a sixteenth there.
  func rates(_ rate: Double) -> [TensorName: Double] {
    Dictionary(
      uniqueKeysWithValues: places.map { ($0.logarithms.name, $0.isStatic ? rate : rate / 16) }
    )
  }

  /// Scales of rows that move with the factors and do not learn by themselves.
  var movedScales: [ParameterSet.Item] {
    var known: Set<TensorName> = []
    return places.flatMap(\.group.producerParameters).compactMap { scales[$0] }
      .filter { known.insert($0).inserted }.map { parameters[$0] }
      .filter { $0.gradient == nil }
  }

  /// How many weights each channel of a place is read by.
  package var fanIns: [Double] { places.map(\.fanIn) }

  /// Adds the gradients of the logarithms, from those of the weights.
  package func addGradients() {
    for place in places {
      guard let target = place.logarithms.gradient else { continue }
      let group = place.group
      let factor = Float(1 / place.fanIn.squareRoot())
      for layer in group.layers {
        let weight = parameters[layer.weight]
        guard let gradient = weight.gradient else { continue }
        let columns = group.sourceChannel.count
        sums(columns) { sums in
          addColumnProducts(
            weight.values,
            gradient,
            rows: weight.count / columns,
            columns: columns,
            addTo: sums,
            on: workers
          )
        } use: { channel, sum in
          target[group.sourceChannel[channel]] += factor * sum
        }
      }
      for name in group.producerParameters {
        let item = parameters[name]
        guard let gradient = item.gradient else { continue }
        sums(group.sourceCount) { sums in
          addRowProducts(
            item.values,
            gradient,
            rows: group.sourceCount,
            columns: item.count / group.sourceCount,
            addTo: sums,
            on: workers
          )
        } use: { channel, sum in
          target[channel] -= factor * sum
        }
      }
    }
  }

  /// Moves what the logarithms learned into the weights, and sets them to 0.
  package func fold() {
    for place in places {
      let (group, logarithms) = (place.group, place.logarithms)
      let learned = (0..<group.sourceCount).map { exp(logarithms.values[$0]) }
      let inverse = learned.map { 1 / $0 }
      let rows = group.producerParameters
      // Codes of a row stay what they are where its scale shrinks with it.
      let rowScales = rows.compactMap { scales[$0] }
      for name in rows + rowScales {
        let item = parameters[name]
        scaleChannels(
          of: item.values,
          rows: group.sourceCount,
          columns: item.count / group.sourceCount,
          rowFactors: inverse,
          on: workers
        )
      }
      let factors = group.sourceChannel.map { learned[$0] }
      for layer in group.layers {
        let weight = parameters[layer.weight]
        scaleChannels(
          of: weight.values,
          rows: weight.count / factors.count,
          columns: factors.count,
          columnFactors: factors,
          on: workers
        )
      }
      logarithms.values.update(repeating: 0, count: logarithms.count)
    }
  }

  private func sums(
    _ count: Int,
    _ add: (UnsafeMutablePointer<Float>) -> Void,
    use: (Int, Float) -> Void
  ) {
    withUnsafeTemporaryAllocation(of: Float.self, capacity: count) { sums in
      guard let base = sums.baseAddress else { return }
      base.update(repeating: 0, count: count)
      add(base)
      for channel in 0..<count { use(channel, base[channel]) }
    }
  }
}
