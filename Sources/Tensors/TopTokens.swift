/// The most likely tokens after each of some tokens, and what is left for all others.
public struct TopTokens: Sendable, Hashable {
  /// How many tokens are told for each place.
  public let k: Int
  /// The tokens [places, k], the most likely first, the lower of equals first.
  public var indices: [Int32]
  /// The natural logarithms of their probabilities [places, k], at most 0.
  public var logProbabilities: [Float]
  /// The probability of all other tokens together [places].
  public var rest: [Float]

  /// Makes a table of places.
  ///
  /// - Precondition: there are `k` tokens and logarithms for each place.
  public init(k: Int, indices: [Int32], logProbabilities: [Float], rest: [Float]) {
    precondition(
      k > 0 && indices.count == rest.count * k && logProbabilities.count == indices.count,
      "each place has its tokens"
    )
    self.k = k
    self.indices = indices
    self.logProbabilities = logProbabilities
    self.rest = rest
  }

  /// How many places there are.
  public var count: Int { rest.count }
}
