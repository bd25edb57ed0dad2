public import KaratBytes
package import KaratKernels

/// What a training made of the machine: its speed beside what the machine can do at most.
public struct TrainingUse: Sendable, Hashable {
  /// How many steps this run took, and how many tokens they learned from.
  public internal(set) var steps = 0, tokens = 0
  /// How long they took, in seconds.
  public internal(set) var seconds = 0.0
  /// The operations of their products with weights, forward and backward: a multiplication and an
  /// addition are two, integer ones count alike.
  public internal(set) var operations = 0.0
  /// How many bytes the optimizer read and wrote, and how long it took, in seconds.
  public internal(set) var optimizerBytes = 0.0, optimizerSeconds = 0.0
  /// The most memory that the process held, in bytes.
  public internal(set) var peakBytes = 0
  /// The most operations in float32, and bytes to and from memory, that the machine reaches a second on
  /// as many threads; 0 where they were not measured.
  public internal(set) var operationCeiling = 0.0, byteCeiling = 0.0

  /// Nothing was trained yet.
  package init() {}

  /// Adds what another training of the same run took.
  package mutating func add(_ other: TrainingUse) {
    steps += other.steps
    tokens += other.tokens
    seconds += other.seconds
    operations += other.operations
    optimizerBytes += other.optimizerBytes
    optimizerSeconds += other.optimizerSeconds
    peakBytes = max(peakBytes, other.peakBytes)
  }

  /// Measures what the machine can do at most, which takes about a third of a second.
  package mutating func measureCeilings(on workers: Workers) {
    let ceilings = MachineCeilings.measure(on: workers)
    operationCeiling = ceilings.operationsPerSecond
    byteCeiling = ceilings.bytesPerSecond
  }

  /// Tokens, operations and the optimizer's bytes, each a second of their time.
  private var rates: (tokens: Double, operations: Double, bytes: Double) {
    (
      Double(tokens) / max(seconds, 1e-9), operations / max(seconds, 1e-9),
      optimizerBytes / max(optimizerSeconds, 1e-9)
    )
  }

  /// One line for reading.
  public var line: String {
    func percent(_ part: Double, _ whole: Double) -> String {
      "\(Int((100 * part / max(whole, 1)).rounded()))%"
    }
    func billions(_ number: Double) -> String { "\((number / 1e8).rounded() / 10)" }
    return
      "\(steps) steps in \(Int(seconds.rounded())) s, \(Int(rates.tokens)) tokens/s; products at "
      + "\(billions(rates.operations)) of \(billions(operationCeiling)) GFLOP/s, "
      + "\(percent(rates.operations, operationCeiling)); the optimizer at \(billions(rates.bytes)) of "
      + "\(billions(byteCeiling)) GB/s, \(percent(rates.bytes, byteCeiling)); at most "
      + "\(billions(Double(peakBytes))) GB in memory."
  }

  /// The same as a document.
  public var json: JSONValue {
    func number(_ number: Double) -> JSONValue {
      JSONNumber(number.rounded()).map(JSONValue.number) ?? .null
    }
    return .object([
      "steps": .number(JSONNumber(steps)), "tokens": .number(JSONNumber(tokens)),
      "seconds": number(seconds), "operations_per_second": number(rates.operations),
      "operations_per_second_at_most": number(operationCeiling),
      "optimizer_bytes_per_second": number(rates.bytes),
      "bytes_per_second_at_most": number(byteCeiling),
      "peak_bytes": .number(JSONNumber(peakBytes)),
    ])
  }
}
