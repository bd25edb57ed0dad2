public import KaratBytes

/// What a comparison of two models over the same text found.
public struct Findings: Sendable {
  /// The tokens that were scored: all but the first of each window.
  public let tokens: Int
  /// How many windows there were, and how many tokens one has.
  public let windows: Int
  /// Tokens of one window; the last may be shorter.
  public let windowLength: Int
  /// The perplexity of the model that everything is measured against.
  public let referencePerplexity: Double
  /// The perplexity of the model that is judged.
  public let candidatePerplexity: Double
  /// The candidate's perplexity over the reference's, with its uncertainty.
  public let ratio: RatioInterval
  /// The KL divergence of the candidate's distribution of the next token from the reference's, in
  /// nats, over all scored tokens.
  public let divergence: Distribution
  /// The fraction of scored tokens for which both find the same token most likely.
  public let topAgreement: Double
  /// What the routers of both chose, where the models have the same routers.
  public let routers: RouterFindings?
  /// The bytes of each model's tensors.
  public let referenceBytes: Int
  /// The bytes of the candidate's tensors.
  public let candidateBytes: Int
  /// The most that the perplexity may rise, as a fraction.
  public let maximumDrop: Double
  /// Whether it rose by more.
  public let verdict: Verdict

  /// The document that `karat verify --json` prints.
  public var json: JSONValue {
    var object = JSONObject()
    object["tokens"] = .number(JSONNumber(tokens))
    object["windows"] = .number(JSONNumber(windows))
    object["window"] = .number(JSONNumber(windowLength))
    object["perplexity"] = .object([
      "reference": .init(referencePerplexity), "candidate": .init(candidatePerplexity),
      "ratio": .init(ratio.ratio),
      "ratio_ci95": ratio.bounds.map { .array([.init($0.lowerBound), .init($0.upperBound)]) }
        ?? .null,
    ])
    object["kld"] = .object([
      "mean": .init(divergence.mean), "stderr": divergence.standardError.map { .init($0) } ?? .null,
      "median": .init(divergence.quantile(0.5)), "p90": .init(divergence.quantile(0.9)),
      "p99": .init(divergence.quantile(0.99)), "p999": .init(divergence.quantile(0.999)),
      "max": .init(divergence.maximum),
    ])
    object["top1_agreement"] = .init(topAgreement)
    if let routers { object["routers"] = routers.json }
    object["tasks"] = .object([:])
    object["bytes"] = .object([
      "reference": .number(JSONNumber(referenceBytes)),
      "candidate": .number(JSONNumber(candidateBytes)),
    ])
    object["max_drop"] = .init(maximumDrop)
    object["verdict"] = .string(verdict.rawValue)
    return .object(object)
  }
}

/// What the gate says about a rise of the perplexity.
public enum Verdict: String, Sendable, Hashable {
  /// The whole interval lies within what is allowed.
  case pass
  /// The whole interval lies beyond it.
  case fail
  /// The interval spans the limit: there is too little text to tell.
  case undecided

  /// Judges an interval.
  ///
  /// - Parameters:
  ///   - interval: the ratio of the perplexities and its 95% interval.
  ///   - maximumDrop: the most that the perplexity may rise, as a fraction.
  package init(_ interval: RatioInterval, maximumDrop: Double) {
    self.init(interval.bounds, limit: 1 + maximumDrop)
  }

  /// Judges by how much a number fell.
  ///
  /// - Parameters:
  ///   - drop: its 95% interval, or nil where there is too little to tell.
  ///   - maximumDrop: the most that it may fall.
  init(drop: ClosedRange<Double>?, maximumDrop: Double) {
    self.init(drop, limit: maximumDrop)
  }

  private init(_ bounds: ClosedRange<Double>?, limit: Double) {
    guard let bounds else {
      self = .undecided
      return
    }
    if bounds.upperBound <= limit {
      self = .pass
    } else {
      self = bounds.lowerBound > limit ? .fail : .undecided
    }
  }
}

/// Numbers that were measured once for each token, sorted.
public struct Distribution: Sendable {
  private let sorted: [Double]
  /// Their mean.
  public let mean: Double
  /// The standard error of the mean, from the spread of the means of segments.
  ///
  /// Nil where there is a single segment, which has no spread.
  public let standardError: Double?

  package init(_ numbers: [Double], segments: Segments) {
    sorted = numbers.sorted()
    mean = numbers.isEmpty ? 0 : numbers.reduce(0, +) / Double(numbers.count)
    standardError = segments.standardError(of: numbers)
  }

  /// The largest.
  public var maximum: Double { sorted.last ?? 0 }

  /// The number that a fraction of all are not above, interpolated between neighbours.
  public func quantile(_ fraction: Double) -> Double {
    guard let last = sorted.indices.last else { return 0 }
    let place = fraction * Double(last)
    let below = Int(place)
    let above = min(below + 1, last)
    return sorted[below] + (place - Double(below)) * (sorted[above] - sorted[below])
  }
}

extension JSONValue {
  /// A number, or null where it is not finite.
  init(_ number: Double) {
    self = JSONNumber(number).map(JSONValue.number) ?? .null
  }
}
