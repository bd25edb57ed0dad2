/// What a student keeps of its teacher: sizes that are smaller, or nil where they stay.
///
/// Which layers, neurons, heads, channels and experts are kept is told by their importance where
/// that was measured (Muralidharan et al., 2024: Minitron), else the first are.
public struct StudentShape: Sendable, Hashable, Codable {
  /// Which of the teacher's layers are kept.
  public enum Layers: Sendable, Hashable, Codable {
    /// All of them.
    case all
    /// These, counted from 0, rising.
    case listed([Int])
    /// So many, spread evenly, the first and the last among them (Sanh et al., 2019: DistilBERT).
    case uniform(Int)
    /// So many: those whose loss costs most.
    case important(Int)
  }

  /// Which of the teacher's layers are kept.
  public var layers: Layers
  /// Neurons of a dense feed-forward layer.
  public var feedForward: Int?
  /// Neurons of one expert.
  public var expertFeedForward: Int?
  /// Query heads; heads of keys and values go with theirs, whole groups at a time.
  public var heads: Int?
  /// Channels of the residual stream.
  public var hidden: Int?
  /// Experts of a sparse layer.
  public var experts: Int?
  /// Neurons of the one dense layer that takes the place of all experts, or nil where experts stay.
  public var dense: Int?
  /// Whether experts that do not stay are merged into those that do (M-SMoE: Li et al., 2024).
  public var mergesExperts = false

  /// The teacher's own shape, unless told otherwise.
  public init(
    layers: Layers = .all,
    feedForward: Int? = nil,
    expertFeedForward: Int? = nil,
    heads: Int? = nil,
    hidden: Int? = nil,
    experts: Int? = nil,
    dense: Int? = nil
  ) {
    self.layers = layers
    self.feedForward = feedForward
    self.expertFeedForward = expertFeedForward
    self.heads = heads
    self.hidden = hidden
    self.experts = experts
    self.dense = dense
  }

  /// So many numbers spread evenly over `total` layers, the first and the last among them; some come
  /// twice where there are more of them.
  package static func spread(_ count: Int, over total: Int) -> [Int] {
    guard count > 1 else { return [0] }
    // Rounded half up, in whole numbers.
    return (0..<count).map { (2 * $0 * (total - 1) + count - 1) / (2 * (count - 1)) }
  }
}

/// Why no student can be made.
public struct StudentError: Error, Hashable, Sendable, CustomStringConvertible {
  /// Where, what is, what was needed, and what to do.
  public let description: String

  /// Describes what stands against a student.
  public init(_ description: String) {
    self.description = description
  }
}
