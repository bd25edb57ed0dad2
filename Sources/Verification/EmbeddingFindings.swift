import Foundation
public import KaratBytes

/// What a comparison of two encoders over the same texts found.
public struct EmbeddingFindings: VerificationReport {
  /// How well the cosine of two texts' vectors ranks pairs as people do.
  public struct Ranking: Sendable, Hashable {
    /// How many pairs there were.
    public let pairs: Int
    /// Spearman's correlation with the scores, or nil where all are equal.
    public let reference, candidate: Double?
    /// By how much the candidate's is lower, between which bounds with 95% confidence; nil where the
    /// pairs are too few.
    public let dropBounds: ClosedRange<Double>?

    /// By how much the candidate's correlation is lower.
    public var drop: Double? {
      guard let reference, let candidate else { return nil }
      return reference - candidate
    }
  }

  /// How many texts were compared.
  public let texts: Int
  /// How many tokens they have, special ones included.
  public let tokens: Int
  /// The cosine of the two models' vectors of a text, over all texts; nil where one's are longer.
  public let cosine: Distribution?
  /// One minus the mean cosine, between which bounds with 95% confidence.
  public let distanceBounds: ClosedRange<Double>?
  /// How pairs are ranked, where the data are pairs.
  public let ranking: Ranking?
  /// The bytes of each model's tensors.
  public let referenceBytes, candidateBytes: Int
  /// The most that the correlation, or without pairs the mean cosine, may fall.
  public let maximumDrop: Double
  /// Whether it fell by more.
  public let verdict: Verdict

  /// The document that `karat verify --json` prints.
  public var json: JSONValue {
    func bounds(_ range: ClosedRange<Double>?) -> JSONValue {
      range.map { .array([.init($0.lowerBound), .init($0.upperBound)]) } ?? .null
    }
    var object = JSONObject()
    object["texts"] = .number(JSONNumber(texts))
    object["tokens"] = .number(JSONNumber(tokens))
    if let ranking {
      object["pairs"] = .number(JSONNumber(ranking.pairs))
      object["spearman"] = .object([
        "reference": ranking.reference.map { .init($0) } ?? .null,
        "candidate": ranking.candidate.map { .init($0) } ?? .null,
        "drop": ranking.drop.map { .init($0) } ?? .null, "drop_ci95": bounds(ranking.dropBounds),
      ])
    }
    if let cosine {
      object["cosine"] = .object([
        "mean": .init(cosine.mean), "p1": .init(cosine.quantile(0.01)),
        "min": .init(cosine.quantile(0)), "distance_ci95": bounds(distanceBounds),
      ])
    }
    object["bytes"] = .object([
      "reference": .number(JSONNumber(referenceBytes)),
      "candidate": .number(JSONNumber(candidateBytes)),
    ])
    object["max_drop"] = .init(maximumDrop)
    object["verdict"] = .string(verdict.rawValue)
    return .object(object)
  }

  /// The findings as a table for reading.
  public var table: String {
    func number(_ value: Double?, _ digits: Int = 4) -> String {
      value.map { String(format: "%.\(digits)f", $0) } ?? "none"
    }
    func interval(_ range: ClosedRange<Double>?) -> String {
      range.map { "\(number($0.lowerBound)) to \(number($0.upperBound))" } ?? "too few"
    }
    var table = Table()
    table.row("", "reference", "candidate")
    if let ranking {
      table.row("Spearman", number(ranking.reference), number(ranking.candidate))
    }
    table.row(
      "size of tensors",
      Table.megabytes(referenceBytes),
      Table.megabytes(candidateBytes)
    )
    if let ranking {
      table.row("its drop", "\(number(ranking.drop))  (95%: \(interval(ranking.dropBounds)))")
    }
    if let cosine {
      table.row(
        "cosine of vectors",
        "mean \(number(cosine.mean, 5))  p1 \(number(cosine.quantile(0.01), 5))  "
          + "min \(number(cosine.quantile(0), 5))"
      )
    }
    if ranking == nil, let cosine {
      table.row(
        "one minus the mean",
        "\(number(1 - cosine.mean, 5))  (95%: \(interval(distanceBounds)))"
      )
    }
    table.row("texts", "\(texts)" + (ranking.map { " in \($0.pairs) pairs" } ?? ""))
    table.row("allowed drop", maximumDrop.isFinite ? number(maximumDrop) : "any")
    let hasInterval = (ranking == nil ? distanceBounds : ranking?.dropBounds) != nil
    table.row("verdict", verdict.explanation(of: "drop", hasInterval: hasInterval))
    return table.text
  }
}
