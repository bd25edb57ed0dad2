package import KaratGraphs

/// How an encoder's vectors of tokens become one of the whole text, as sentence-transformers has it.
package struct SentenceEmbedding: Sendable, Hashable {
  /// Which tokens count, and how.
  package enum Pooled: Sendable, Hashable {
    /// The first token alone.
    case first
    /// All tokens.
    case all(Pooling.Kind)
  }

  /// Which tokens count, and how.
  package var pooled: Pooled
  /// Whether the vector is scaled to length 1.
  package var isNormalized: Bool

  /// The mean of all tokens unless told otherwise, as where a folder does not say.
  package init(pooled: Pooled = .all(.mean), isNormalized: Bool = false) {
    self.pooled = pooled
    self.isNormalized = isNormalized
  }

  /// The vector of each sequence: x F32[batch, length, features] and a mask of its tokens give
  /// F32[batch, features].
  func trace(_ x: Value, _ mask: Value, at w: Scope) -> Value {
    let vector =
      switch pooled {
      case .first: x.through(.firstToken(FirstToken()), at: w)
      case .all(let kind): x.through(.pooling(Pooling(kind)), mask, at: w)
      }
    return isNormalized ? vector.through(.unitLength(UnitLength()), at: w) : vector
  }
}
