package import KaratGraphs
import KaratKernels
package import KaratTensors

/// Linear layers that read one value, and what computes it: a place where channels can be rescaled
/// without changing what the model computes.
///
/// The channels of the value are divided by factors, and the columns of the layers' weights
/// multiplied by them. The division is folded into what came before: a norm's weight, or the rows
/// of the linear layer whose output passes straight through.
package struct SmoothingGroup {
  /// The value that the layers read.
  package let input: ValueID
  /// The layers, in order.
  package let layers: [LinearLayer]
  /// What takes the division: the weight of a norm, or the rows of a layer's weight and bias.
  package let producer: Producer
  /// For each channel of the value, the channel of the producer that it comes from.
  ///
  /// Grouped attention heads read one value channel several times.
  package let sourceChannel: [Int]
  /// How many channels the producer has.
  package let sourceCount: Int

  package enum Producer {
    case norm(weight: TensorName, bias: TensorName?)
    case rows(LinearLayer)
  }

  /// The producer's parameters, whose rows, or numbers, are its channels.
  var producerParameters: [TensorName] {
    switch producer {
    case .norm(let weight, let bias): [weight, bias].compactMap(\.self)
    case .rows(let layer): [layer.weight, layer.bias].compactMap(\.self)
    }
  }
}

extension Graph {
  /// The groups of layers whose input can be rescaled, in order.
  ///
  /// - Parameter layers: the layers that may take part; a value that anything else reads is left
  ///   alone.
  /// - Returns: the groups whose producer no other layer reads.
  package func smoothingGroups(among layers: [LinearLayer]) -> [SmoothingGroup] {
    let readers = readers
    let shared = sharedParameters
    func isFree(_ layer: LinearLayer) -> Bool {
      !layer.hasCodes && !shared.contains(layer.weight)
        && !(layer.bias.map { shared.contains($0) } ?? false)
    }
    let all = Dictionary(uniqueKeysWithValues: linearLayers.map { ($0.place, $0) })
    return Dictionary(grouping: layers, by: \.input).compactMap { input, group in
      guard group.allSatisfy(isFree), Set(readers[input] ?? []) == Set(group.map(\.place)),
        let features = type(of: input).features
      else { return nil }
      let producer = node(of: input)
      /// The layer behind one of the producer's inputs, where nothing else reads it.
      func layer(behind index: Int) -> LinearLayer? {
        let value = producer.inputs[index]
        guard let layer = all[value.node], isFree(layer), readers[value] == [input.node] else {
          return nil
        }
        return layer
      }
      let (source, channels, count): (SmoothingGroup.Producer, [Int], Int)
      switch producer.op {
      case .rmsNorm:
        guard let weight = parameter(producer.inputs[1]), !shared.contains(weight.tensor),
          type(of: producer.inputs[1]).features == features
        else { return nil }
        source = .norm(weight: weight.tensor, bias: nil)
        (channels, count) = (Array(0..<features), features)
      case .layerNorm:
        guard let weight = parameter(producer.inputs[1]), !shared.contains(weight.tensor),
          let bias = parameter(producer.inputs[2]), !shared.contains(bias.tensor)
        else { return nil }
        source = .norm(weight: weight.tensor, bias: bias.tensor)
        (channels, count) = (Array(0..<features), features)
      case .swiglu:
        guard let up = layer(behind: 1) else { return nil }
        source = .rows(up)
        (channels, count) = (Array(0..<features), features)
      case .attention(let attention):
        guard let values = layer(behind: 2) else { return nil }
        let size = features / attention.heads
        let sharing = attention.heads / attention.keyValueHeads
        source = .rows(values)
        channels = (0..<features).map { $0 / size / sharing * size + $0 % size }
        count = size * attention.keyValueHeads
      default: return nil
      }
      return SmoothingGroup(
        input: input,
        layers: group.sorted { $0.place < $1.place },
        producer: source,
        sourceChannel: channels,
        sourceCount: count
      )
    }.sorted { $0.input < $1.input }
  }
}

/// Factors that rows and columns of parameters are multiplied by when they are pulled.
struct Rescaling {
  private var rows: [TensorName: [Float]] = [:]
  private var columns: [TensorName: [Float]] = [:]
  private var shapes: [TensorName: Shape] = [:]

  /// Divides the channels of a group's value by factors, one for each channel of the producer.
  mutating func smooth(_ group: SmoothingGroup, by factors: [Float]) {
    let inverse = factors.map { 1 / $0 }
    for name in group.producerParameters {
      rows[name] = inverse
      shapes[name] = [group.sourceCount]
    }
    if case .rows(let layer) = group.producer { shapes[layer.weight] = layer.shape }
    for layer in group.layers {
      columns[layer.weight] = group.sourceChannel.map { factors[$0] }
      shapes[layer.weight] = layer.shape
    }
  }

  /// The same parameters, rescaled when they are pulled, as float32.
  func applied(to source: any TensorSource, on workers: Workers) -> any TensorSource {
    var changes: [TensorName: DerivedTensor] = [:]
    for (name, shape) in shapes {
      let (rows, columns) = (rows[name], columns[name])
      let width = shape.rank > 1 ? shape[1] : 1
      changes[name] = DerivedTensor(
        TensorInfo(.f32, shape),
        isDivisible: source.isDivisible(name)
      ) { run throws(CheckpointError) in
        let isWhole = run.count == shape.elementCount
        let numbers = try isWhole ? source.tensor(name) : source.elements(run, of: name)
        let floats = numbers.asFloat32(on: isWhole ? workers : Workers(threads: 1))
        return Tensor(.f32, [run.count]) { bytes in
          let out = bytes.assumingMemoryBound(to: Float.self)
          floats.withFloats { elements in
            for (place, index) in run.enumerated() {
              let factor = rows?[index / width] ?? 1
              out[place] = elements[place] * (factor * (columns?[index % width] ?? 1))
            }
          }
        }
      }
    }
    return source.overlaid(with: changes)
  }
}

extension LinearLayer {
  /// The weight's extents, [out, in].
  var shape: Shape { weightType.shape(Binding(batch: 0, length: 0)) }
}

extension Tensor {
  /// A float32 tensor with each row, the outermost extent, and each column multiplied by a factor.
  func scaled(rows: [Float]?, columns: [Float]?) -> Tensor {
    let width = shape.rank > 1 ? shape[1] : 1
    return Tensor(.f32, shape) { bytes in
      let out = bytes.assumingMemoryBound(to: Float.self)
      withFloats { elements in
        for row in 0..<shape[0] {
          let factor = rows?[row] ?? 1
          for column in 0..<width {
            let index = row * width + column
            out[index] = elements[index] * (factor * (columns?[column] ?? 1))
          }
        }
      }
    }
  }
}
