import KaratBytes
import KaratEngine
import KaratGraphs

/// The texts on which two encoders are compared, as tokens.
public struct EmbeddingTexts: Sendable {
  /// The texts, special tokens included.
  public let texts: [[Int32]]
  /// Which two texts are a pair, and how alike people find them; none where the texts stand alone.
  package let pairs: [(score: Double, first: Int, second: Int)]

  /// Takes texts that stand alone.
  public init(_ texts: [[Int32]]) {
    self.texts = texts
    pairs = []
  }

  /// Takes pairs of texts with their scores.
  public init(pairs: [(score: Double, first: [Int32], second: [Int32])]) {
    texts = pairs.flatMap { [$0.first, $0.second] }
    self.pairs = pairs.enumerated().map { ($1.score, 2 * $0, 2 * $0 + 1) }
  }

  /// Checks that vectors of two lengths can be told apart by the texts: pairs are ranked by each model for
  /// itself, and texts that stand alone have the cosine of their two vectors.
  package func check(lengths: (reference: Int, candidate: Int)) throws(VerificationError) {
    guard pairs.isEmpty, lengths.reference != lengths.candidate else { return }
    throw VerificationError(
      "the reference gives vectors of \(lengths.reference) numbers and the candidate of "
        + "\(lengths.candidate), whose cosine is not there. Give pairs of texts with scores, in a .tsv file."
    )
  }
}

extension Verifier {
  /// How many samples an interval is drawn from.
  private static let sampleCount = 2000

  /// Runs two encoders over the same texts and compares their vectors.
  ///
  /// Time is that of running both; memory holds the vectors of all texts twice. Intervals are
  /// percentiles of 2000 samples of the pairs, or texts, drawn with replacement by the seed 0; both
  /// models are measured on the same sample (the paired bootstrap; Efron, 1979).
  ///
  /// - Parameters:
  ///   - reference: the model that everything is measured against.
  ///   - candidate: the model that is judged; without pairs its vectors must be as long.
  ///   - data: at least one text.
  /// - Returns: what was measured, and the verdict: on the fall of Spearman's correlation where there
  ///   are pairs, else on one minus the mean cosine.
  /// - Throws: `VerificationError` where the vectors are not finite, or differ in length without pairs, and what
  ///   running the models throws.
  public func compareEmbeddings(
    _ reference: Subject,
    _ candidate: Subject,
    _ data: EmbeddingTexts
  ) throws -> EmbeddingFindings {
    guard !data.texts.isEmpty else {
      throw VerificationError("there is nothing to compare: at least one text is needed.")
    }
    let total = 2 * data.texts.count
    let left = try vectors(of: reference, "reference", data.texts, from: 0, of: total)
    let right = try vectors(of: candidate, "candidate", data.texts, from: total / 2, of: total)
    try data.check(lengths: (left[0].count, right[0].count))
    progress.report("verify", total, of: total, "texts")
    let cosines =
      left[0].count == right[0].count ? zip(left, right).map { cosine($0, $1) } : []
    let ranking = data.pairs.isEmpty ? nil : ranking(data.pairs, left, right)
    let distances = cosines.map { 1 - $0 }
    let distanceBounds = interval(count: distances.count) { counts in
      zip(distances, counts).reduce(0) { $0 + $1.0 * Double($1.1) } / Double(distances.count)
    }
    return EmbeddingFindings(
      texts: data.texts.count,
      tokens: data.texts.reduce(0) { $0 + $1.count },
      cosine: cosines.isEmpty
        ? nil : Distribution(cosines, segments: Segments(scoredTokens: [cosines.count])),
      distanceBounds: distanceBounds,
      ranking: ranking,
      referenceBytes: reference.byteCount,
      candidateBytes: candidate.byteCount,
      maximumDrop: maximumDrop,
      verdict: Verdict(
        drop: data.pairs.isEmpty ? distanceBounds : ranking?.dropBounds,
        maximumDrop: maximumDrop
      )
    )
  }

  private func vectors(
    of subject: Subject,
    _ name: String,
    _ texts: [[Int32]],
    from done: Int,
    of total: Int
  ) throws -> [[Float]] {
    let vectors = try subject.executor.embeddings(texts) {
      progress.report("verify", done + $0, of: total, "texts")
    }
    if let text = vectors.firstIndex(where: { !$0.allSatisfy(\.isFinite) }) {
      throw VerificationError(
        "text \(text): the \(name) gives a vector that is not of finite numbers. A weight is broken, "
          + "or the model overflows: karat inspect --tensors."
      )
    }
    return vectors
  }

  private func ranking(
    _ pairs: [(score: Double, first: Int, second: Int)],
    _ left: [[Float]],
    _ right: [[Float]]
  ) -> EmbeddingFindings.Ranking {
    let scores = RankOrder(pairs.map(\.score))
    let orders = [left, right].map { vectors in
      RankOrder(pairs.map { cosine(vectors[$0.first], vectors[$0.second]) })
    }
    func correlation(_ side: Int, _ counts: [Int]) -> Double? {
      rankCorrelation(orders[side], scores, counts)
    }
    let whole = Array(repeating: 1, count: pairs.count)
    return EmbeddingFindings.Ranking(
      pairs: pairs.count,
      reference: correlation(0, whole),
      candidate: correlation(1, whole),
      dropBounds: interval(count: pairs.count) { counts in
        guard let reference = correlation(0, counts), let candidate = correlation(1, counts) else {
          return nil
        }
        return reference - candidate
      }
    )
  }

  /// Between which bounds a statistic lies over samples of so many observations.
  private func interval(
    count: Int,
    _ statistic: ([Int]) -> Double?
  ) -> ClosedRange<Double>? {
    guard count >= 2 else { return nil }
    var random = SeededGenerator(seed: 0)
    return percentileInterval(
      (0..<Self.sampleCount).map { _ in statistic(resampled(count, &random)) }
    )
  }
}

/// The cosine of the angle between two vectors; 0 where one is zero.
private func cosine(_ left: [Float], _ right: [Float]) -> Double {
  var (ll, rr, lr) = (0.0, 0.0, 0.0)
  for (a, b) in zip(left, right) {
    ll += Double(a) * Double(a)
    rr += Double(b) * Double(b)
    lr += Double(a) * Double(b)
  }
  return ll > 0 && rr > 0 ? lr / (ll * rr).squareRoot() : (ll == rr ? 1 : 0)
}
