import Foundation

extension Findings {
  /// The findings as a table for reading.
  public var table: String {
    func number(_ value: Double, _ digits: Int) -> String { String(format: "%.\(digits)f", value) }
    func percent(_ value: Double, _ digits: Int = 2) -> String { number(100 * value, digits) + "%" }
    let interval =
      ratio.bounds.map { "\(number($0.lowerBound, 4)) to \(number($0.upperBound, 4))" }
      ?? "too little text"
    let error = divergence.standardError.map { "± \(number($0, 5))" } ?? "(one segment)"
    let rows: [(String, String, String)] = [
      ("", "reference", "candidate"),
      ("perplexity", number(referencePerplexity, 3), number(candidatePerplexity, 3)),
      ("size of tensors", Self.megabytes(referenceBytes), Self.megabytes(candidateBytes)),
    ]
    let single: [(String, String)] = [
      ("perplexity ratio", "\(number(ratio.ratio, 4))  (95%: \(interval))"),
      (
        "KL divergence (nats)",
        "\(number(divergence.mean, 5)) \(error)  median "
          + "\(number(divergence.quantile(0.5), 5))"
      ),
      (
        "  its tail",
        "p90 \(number(divergence.quantile(0.9), 4))  p99 \(number(divergence.quantile(0.99), 4))  "
          + "p99.9 \(number(divergence.quantile(0.999), 4))  max \(number(divergence.maximum, 4))"
      ),
      ("same top token", percent(topAgreement)),
    ]
    let routing: [(String, String)] =
      routers.map { routers in
        [
          (
            "tokens routed anew",
            "\(percent(routers.changedFraction))  (to any other expert, mean of "
              + "\(routers.reference.count) routers)"
          ),
          (
            "unused experts",
            "\(RouterFindings.unused(routers.reference)) in the reference, "
              + "\(RouterFindings.unused(routers.candidate)) in the candidate"
          ),
          (
            "load, max/mean",
            "\(number(RouterFindings.peak(routers.reference), 2)) in the reference, "
              + "\(number(RouterFindings.peak(routers.candidate), 2)) in the candidate"
          ),
        ]
      } ?? []
    let rest: [(String, String)] = [
      ("scored tokens", "\(tokens) in \(windows) windows of \(windowLength)"),
      ("allowed rise", percent(maximumDrop)),
      ("verdict", verdict.explanation(hasInterval: ratio.bounds != nil)),
    ]
    let width = 22
    func padded(_ text: String, _ width: Int) -> String {
      text + String(repeating: " ", count: max(1, width - text.count))
    }
    return
      (rows.map { padded($0, width) + padded($1, 14) + $2 }
      + (single + routing + rest).map { padded($0, width) + $1 })
      .joined(separator: "\n")
  }

  private static func megabytes(_ bytes: Int) -> String {
    String(format: "%.1f MB", Double(bytes) / 1e6)
  }
}

extension Verdict {
  /// The verdict and what it rests on.
  fileprivate func explanation(hasInterval: Bool) -> String {
    switch self {
    case .pass: "PASS: the whole interval is within the allowed rise"
    case .fail: "FAIL: the whole interval is beyond the allowed rise"
    case .undecided:
      hasInterval
        ? "UNDECIDED: the interval spans the allowed rise; give more text"
        : "UNDECIDED: the text is too short for an interval; give more text"
    }
  }
}
