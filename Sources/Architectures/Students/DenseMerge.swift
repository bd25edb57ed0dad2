import KaratGraphs
import KaratTensors

/// One dense feed-forward layer in place of a layer's experts: the neurons of those that gave most,
/// side by side.
///
/// A token reached an expert's neurons with a routing weight, or not at all; now all tokens reach
/// them, with the mean of that weight over all tokens. Experts that are left out leave their part of
/// the weight to those that stay, or are merged into them (`ExpertGroups`). Shared experts come first, as
/// they are. Experts are ranked by the sum over tokens of routing weight times the length of what they gave
/// (as REAP weighs them: Lasby et al., 2025); the last one that has room gives its strongest neurons.
struct DenseMerge {
  /// Neurons that are a weighted sum of those of some experts.
  struct Part {
    /// Of each where it stands in the teacher, which of its neurons, and what they are multiplied by.
    let terms: [(tensors: ExpertTensors, neurons: [Int], share: Float)]
    /// The expert that leads, or nil where it is shared.
    let expert: Int?
    /// What they enter the sum of all parts with.
    let factor: Float
  }

  /// The neurons, in the order in which they lie side by side.
  let parts: [Part]
  /// The experts that are in it, with those that were merged into them.
  let groups: [ExpertGroups.Group]

  /// Merges the experts of a block into so many neurons.
  ///
  /// - Parameters:
  ///   - layer: the block.
  ///   - size: the neurons.
  ///   - sizes: the shapes of the teacher's tensors.
  ///   - chooser: chooses neurons, and notes it.
  ///   - matching: where experts that have no room are merged into those that have, finds which neurons
  ///     are alike.
  /// - Throws: `StudentError` where routing was not measured, or there are fewer neurons; what `matching`
  ///   throws.
  init(
    _ layer: Int,
    size: Int,
    sizes: [TensorName: Shape],
    _ chooser: inout PartChooser,
    matching: NeuronMatching?
  ) throws {
    let teacher = chooser.teacher
    let measured = try chooser.routing(
      of: layer,
      neededFor: "merging them into a dense layer needs"
    )
    let tensors = teacher.blocks[layer].expertTensors
    var left = size
    var parts: [Part] = []
    func neurons(_ tensors: ExpertTensors) -> [Int]? {
      guard left > 0, let shape = sizes[tensors.gate] else { return nil }
      let count = min(left, shape[0])
      left -= count
      return chooser.neurons(count, of: shape[0], readBy: ParameterPlace(tensors.down).path)
    }
    if let shared = tensors(nil), let own = neurons(shared) {
      parts.append(Part(terms: [(shared, own, 1)], expert: nil, factor: 1))
    }
    let ranked = measured.counts.indices.sorted {
      (-measured.contributions[$0], $0) < (-measured.contributions[$1], $1)
    }
    let taken = ranked.compactMap { expert in
      tensors(expert).flatMap(neurons).map { (expert: expert, neurons: $0) }
    }
    guard left == 0 else {
      throw StudentError(
        "\(teacher.config.file): a dense student of \(size) neurons was asked for; the experts of "
          + "layer \(layer) have \(size - left) together. Ask for at most that."
      )
    }
    groups = try chooser.groups(
      taken.map(\.expert),
      of: layer,
      measured,
      isRoutedInParts: false,
      matching: matching
    )
    let kept = groups.reduce(0) { $0 + $1.weight }
    let scale = measured.weights.reduce(0, +) / max(kept, .leastNormalMagnitude)
    for (group, own) in zip(groups, taken).sorted(by: { $0.1.expert < $1.1.expert }) {
      let terms = group.members.compactMap { member in
        tensors(member.expert)
          .map { ($0, member.neurons(own.neurons) ?? own.neurons, member.share) }
      }
      let factor = Float(group.weight * scale / Double(measured.tokens))
      parts.append(Part(terms: terms, expert: own.expert, factor: factor))
    }
    self.parts = parts
  }

  /// Where a tensor of the dense layer comes from.
  ///
  /// - Parameters:
  ///   - module: which one: `gate_proj`, `up_proj` or `down_proj`.
  ///   - channels: which of the channels are kept, or nil for all.
  /// - Returns: the origin, or nil where the layer has no such module.
  func origin(of module: String, channels: [Int]?) -> TensorOrigin? {
    func rows(_ tensor: KeyPath<ExpertTensors, TensorName>) -> TensorOrigin {
      .parts(
        parts.map { part in
          part.terms.map { term in
            TensorPart(
              term.tensors[keyPath: tensor],
              places: [term.neurons, channels],
              factor: term.share
            )
          }
        },
        along: 0
      )
    }
    switch module {
    case "gate_proj": return rows(\.gate)
    case "up_proj": return rows(\.up)
    case "down_proj":
      return .parts(
        parts.map { part in
          part.terms.map { term in
            TensorPart(
              term.tensors.down,
              places: [channels, term.neurons],
              factor: term.share * part.factor
            )
          }
        },
        along: 1
      )
    default: return nil
    }
  }
}
