public import KaratBytes

/// What a comparison of two models found, for people, for scripts, and for the gate.
public protocol VerificationReport: Sendable {
  /// The document that `karat verify --json` prints.
  var json: JSONValue { get }
  /// The findings as a table for reading.
  var table: String { get }
  /// Whether the candidate lost more than is allowed.
  var verdict: Verdict { get }
}

extension Findings: VerificationReport {}
