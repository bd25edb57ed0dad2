import Foundation

/// Rows of a label and one or two columns, for reading.
struct Table {
  private var lines: [String] = []

  mutating func row(_ label: String, _ first: String, _ second: String? = nil) {
    lines.append(
      padded(label, 22) + (second.map { padded(first, 14) + $0 } ?? first)
    )
  }

  var text: String { lines.joined(separator: "\n") }

  static func megabytes(_ bytes: Int) -> String { String(format: "%.1f MB", Double(bytes) / 1e6) }

  private func padded(_ text: String, _ width: Int) -> String {
    text + String(repeating: " ", count: max(1, width - text.count))
  }
}

extension Findings {
  /// The findings as a table for reading.
  public var table: String {
    func number(_ value: Double, _ digits: Int) -> String { String(format: "%.\(digits)f", value) }
    func percent(_ value: Double, _ digits: Int = 2) -> String { number(100 * value, digits) + "%" }
    let interval =
      ratio.bounds.map { "\(number($0.lowerBound, 4)) to \(number($0.upperBound, 4))" }
      ?? "too little text"
    let error = divergence.standardError.map { "± \(number($0, 5))" } ?? "(one segment)"
    var table = Table()
    table.row("", "reference", "candidate")
    table.row("perplexity", number(referencePerplexity, 3), number(candidatePerplexity, 3))
    table.row(
      "size of tensors",
      Table.megabytes(referenceBytes),
      Table.megabytes(candidateBytes)
    )
    table.row("perplexity ratio", "\(number(ratio.ratio, 4))  (95%: \(interval))")
    table.row(
      "KL divergence (nats)",
      "\(number(divergence.mean, 5)) \(error)  median \(number(divergence.quantile(0.5), 5))"
    )
    table.row(
      "  its tail",
      "p90 \(number(divergence.quantile(0.9), 4))  p99 \(number(divergence.quantile(0.99), 4))  "
        + "p99.9 \(number(divergence.quantile(0.999), 4))  max \(number(divergence.maximum, 4))"
    )
    table.row("same top token", percent(topAgreement))
    if let routers {
      table.row(
        "tokens routed anew",
        "\(percent(routers.changedFraction))  (to any other expert, mean of "
          + "\(routers.reference.count) routers)"
      )
      table.row(
        "unused experts",
        "\(RouterFindings.unused(routers.reference)) in the reference, "
          + "\(RouterFindings.unused(routers.candidate)) in the candidate"
      )
      table.row(
        "load, max/mean",
        "\(number(RouterFindings.peak(routers.reference), 2)) in the reference, "
          + "\(number(RouterFindings.peak(routers.candidate), 2)) in the candidate"
      )
    }
    table.row("scored tokens", "\(tokens) in \(windows) windows of \(windowLength)")
    table.row("allowed rise", maximumDrop.isFinite ? percent(maximumDrop) : "any")
    table.row("verdict", verdict.explanation(of: "rise", hasInterval: ratio.bounds != nil))
    return table.text
  }
}

extension Verdict {
  /// The verdict and what it rests on.
  func explanation(of change: String, hasInterval: Bool) -> String {
    switch self {
    case .pass: "PASS: the whole interval is within the allowed \(change)"
    case .fail: "FAIL: the whole interval is beyond the allowed \(change)"
    case .undecided:
      hasInterval
        ? "UNDECIDED: the interval spans the allowed \(change); give more text"
        : "UNDECIDED: the text is too short for an interval; give more text"
    }
  }
}
