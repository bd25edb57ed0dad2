import KaratKernels
import KaratTensors

/// The router of a mixture of experts: which experts each token reaches, and with which weight
/// (Shazeer et al., 2017; in groups: DeepSeek-AI, 2024).
///
/// Logits F32[batch, length, experts] and, where experts are balanced by it, a bias F32[experts]
/// that enters the choice and not the weights give
/// - weights F32[batch, length, chosen], the greatest score first, the first of equals first;
/// - experts I32[batch, length, chosen];
/// - offsets I32[experts + 1] and slots I32[batch, length, chosen]: the places of the choices sorted
///   by expert, those of expert e at `offsets[e]..<offsets[e + 1]`.
public struct Route: Operation {
  /// How logits become scores.
  public enum Score: String, Sendable, Hashable {
    /// The softmax over all experts.
    case softmax
    /// The sigmoid of each logit.
    case sigmoid
  }

  /// A choice of groups of experts before the choice of experts among them.
  public struct Grouping: Sendable, Hashable {
    /// By what a group ranks.
    public enum Rank: String, Sendable, Hashable {
      /// Its greatest score (DeepSeek-V2).
      case greatest
      /// The sum of its two greatest scores, biased (DeepSeek-V3).
      case twoGreatest
    }

    /// How many groups of equal size there are.
    public let count: Int
    /// How many of them a token may choose from.
    public let kept: Int
    /// By what a group ranks.
    public let rank: Rank

    package init(count: Int, kept: Int, rank: Rank) {
      self.count = count
      self.kept = kept
      self.rank = rank
    }
  }

  /// How many experts a token reaches.
  public let chosen: Int
  /// How logits become scores.
  public let score: Score
  /// The groups that are chosen first, or nil where a token may reach any experts.
  public let grouping: Grouping?
  /// Whether the chosen weights are divided by their sum.
  public let normalizes: Bool
  /// What the weights are multiplied by in the end.
  public let scale: Float

  package init(
    chosen: Int,
    score: Score,
    grouping: Grouping? = nil,
    normalizes: Bool,
    scale: Float = 1
  ) {
    self.chosen = chosen
    self.score = score
    self.grouping = grouping
    self.normalizes = normalizes
    self.scale = scale
  }

  package var name: String { "route" }
  package var attributes: [(name: String, value: String)] {
    [("chosen", "\(chosen)"), ("score", score.rawValue)]
      + (grouping.map {
        [("groups", "\($0.kept) of \($0.count)"), ("rank", $0.rank.rawValue)]
      } ?? [])
      + (normalizes ? [("normalized", "true")] : []) + (scale == 1 ? [] : [("scale", "\(scale)")])
  }

  package func resultTypes(of inputs: [ValueType]) throws(GraphError) -> [ValueType] {
    guard inputs.count == 1 || inputs.count == 2, inputs[0].dtype == .f32,
      inputs[0].extents.count == 3, let experts = inputs[0].features,
      inputs.count == 1 || inputs[1] == ValueType(.f32, experts)
    else {
      throw GraphError("a router reads F32 logits of tokens and a bias of each expert: \(inputs).")
    }
    let groups = grouping?.count ?? 1
    guard groups > 0, experts % groups == 0, (1...groups).contains(grouping?.kept ?? 1),
      chosen > 0, chosen <= experts / groups * (grouping?.kept ?? 1)
    else {
      throw GraphError(
        "\(chosen) experts cannot be chosen from \(grouping?.kept ?? 1) of \(groups) equal groups "
          + "of \(experts) experts."
      )
    }
    let choices = inputs[0].with(features: chosen)
    return [
      choices, choices.with(dtype: .i32), ValueType(.i32, experts + 1), choices.with(dtype: .i32),
    ]
  }

  package func evaluate(_ run: Evaluation) {
    let logits = run.inputs[0]
    let indices = run.outputs[1].mutableIds
    route(
      logits: logits.floats,
      bias: run.inputs.count == 2 ? run.inputs[1].floats : nil,
      rows: logits.rows,
      routing: routing(of: logits.features),
      weights: run.outputs[0].mutableFloats,
      indices: indices,
      on: run.workers
    )
    sortByExpert(
      indices: indices,
      count: run.outputs[1].count,
      experts: logits.features,
      offsets: run.outputs[2].mutableIds,
      slots: run.outputs[3].mutableIds
    )
  }

  private func routing(of experts: Int) -> Routing {
    Routing(
      experts: experts,
      chosen: chosen,
      groups: grouping?.count ?? 1,
      keptGroups: grouping?.kept ?? 1,
      usesSigmoid: score == .sigmoid,
      sumsTwo: grouping?.rank == .twoGreatest,
      normalizes: normalizes,
      scale: scale
    )
  }

  package var gradientReads: GradientReads? { GradientReads(inputs: [0], outputs: [1]) }

  package func differentiate(_ run: Differentiation) {
    guard let target = run.target(0) else { return }
    let logits = run.inputs[0]
    routeGradient(
      logits: logits.floats,
      indices: run.outputs[1].ids,
      gradient: run.gradient().floats,
      rows: logits.rows,
      routing: routing(of: logits.features),
      addTo: target,
      on: run.workers
    )
  }
}
