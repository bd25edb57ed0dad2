import KaratGraphs
import KaratTensors

/// One dense feed-forward layer in place of a layer's experts: the neurons of those that gave most,
/// side by side.
///
/// A token reached an expert's neurons with a routing weight, or not at all; now all tokens reach
/// them, with the mean of that weight over all tokens. Experts that are left out leave their part of
/// the weight to those that stay. Shared experts come first, as they are. Experts are ranked by the
/// sum over tokens of routing weight times the length of what they gave (as REAP weighs them: Lasby
/// et al., 2025); the last one that has room gives its strongest neurons.
struct DenseMerge {
  /// The neurons of one expert.
  struct Part {
    /// Its place in the teacher: `model.layers.0.mlp.experts.3`.
    let path: TensorName
    /// Its number, or nil where it is shared.
    let expert: Int?
    /// Which of its neurons.
    let neurons: [Int]
    /// What they enter the sum with.
    let factor: Float
  }

  /// The neurons, in the order in which they lie side by side.
  let parts: [Part]
  /// What the teacher calls the layers of an expert.
  private let names: GatedFeedForward.Names

  /// Merges the experts of a block into so many neurons.
  ///
  /// - Throws: `StudentError` where routing was not measured, or there are fewer neurons.
  init(
    _ layer: Int,
    size: Int,
    sizes: [TensorName: Shape],
    _ chooser: inout PartChooser
  ) throws(StudentError) {
    let teacher = chooser.teacher
    let facts = teacher.blocks[layer]
    guard let router = facts.router,
      let measured = chooser.importance?.experts[router.text], measured.tokens > 0,
      measured.counts.count == facts.experts
    else {
      throw StudentError(
        "\(teacher.config.file): how layer \(layer) routes tokens to its experts was not measured, "
          + "which merging them into a dense layer needs. Give a text to measure it on."
      )
    }
    let base = TensorName(String(router.text.dropLast(".gate".count)))
    let names =
      base.text.hasSuffix("block_sparse_moe")
      ? GatedFeedForward.Names(gate: "w1", up: "w3", down: "w2") : GatedFeedForward.Names()
    var left = size
    var taken: [(path: TensorName, expert: Int?, neurons: [Int])] = []
    func take(_ path: TensorName, _ expert: Int?) {
      guard left > 0, let shape = sizes[path / names.gate / "weight"] else { return }
      let count = min(left, shape[0])
      let neurons = chooser.neurons(count, of: shape[0], readBy: path / names.down)
      taken.append((path, expert, neurons))
      left -= count
    }
    take(base / "shared_experts", nil)
    let ranked = (0..<facts.experts).sorted {
      (-measured.contributions[$0], $0) < (-measured.contributions[$1], $1)
    }
    for expert in ranked { take(base / "experts" / "\(expert)", expert) }
    guard left == 0 else {
      throw StudentError(
        "\(teacher.config.file): a dense student of \(size) neurons was asked for; the experts of "
          + "layer \(layer) have \(size - left) together. Ask for at most that."
      )
    }
    self.names = names
    let all = measured.weights.reduce(0, +)
    let kept = taken.reduce(0.0) { $0 + ($1.expert.map { measured.weights[$0] } ?? 0) }
    parts = taken.sorted { ($0.expert ?? -1) < ($1.expert ?? -1) }.map { part in
      let share = part.expert.map { measured.weights[$0] / max(kept, .leastNormalMagnitude) }
      let factor = share.map { Float($0 * all / Double(measured.tokens)) } ?? 1
      return Part(path: part.path, expert: part.expert, neurons: part.neurons, factor: factor)
    }
  }

  /// Where a tensor of the dense layer comes from.
  ///
  /// - Parameters:
  ///   - module: which one: `gate_proj`, `up_proj` or `down_proj`.
  ///   - channels: which of the channels are kept, or nil for all.
  /// - Returns: the origin, or nil where the layer has no such module.
  func origin(of module: String, channels: [Int]?) -> TensorOrigin? {
    switch module {
    case "gate_proj", "up_proj":
      let name = module == "gate_proj" ? names.gate : names.up
      return .parts(
        parts.map { TensorPart($0.path / name / "weight", places: [$0.neurons, channels]) },
        along: 0
      )
    case "down_proj":
      return .parts(
        parts.map { part in
          TensorPart(
            part.path / names.down / "weight",
            places: [channels, part.neurons],
            factor: part.factor
          )
        },
        along: 1
      )
    default: return nil
    }
  }
}
