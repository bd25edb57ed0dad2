import KaratEngine
import KaratGraphs
import KaratTensors

/// Lets a student write text while it learns, with the parameters that it has by then (generalized
/// distillation, Agarwal et al., 2024).
///
/// What is written depends on the seed, the step and the parameters alone, so that training that was
/// interrupted goes on the same. Takes 4 bytes for each parameter while it writes.
struct StudentWriter {
  private let student: Model
  private let parameters: [ParameterSet.Item]
  private let share: Double
  private let seed: UInt64
  private let threads: Int?

  /// - Parameters:
  ///   - student: its graph, and a source of the same names.
  ///   - parameters: what it has learned so far.
  ///   - share: the part of the examples that it writes.
  ///   - seed: decides which these are, and what is written.
  ///   - threads: how many threads to run on, or nil for one on each core.
  init(
    _ student: Model,
    _ parameters: [ParameterSet.Item],
    share: Double,
    seed: UInt64,
    threads: Int?
  ) {
    self.student = student
    self.parameters = parameters
    self.share = share
    self.seed = seed
    self.threads = threads
  }

  /// Goes on from the first eighth of some windows, each to its own length.
  ///
  /// - Parameters:
  ///   - step: the step that they are for.
  ///   - windows: the examples of the step and their windows.
  /// - Returns: what is written, for the examples that were drawn.
  /// - Throws: what running the student throws, as where its logits are no numbers.
  func written(_ step: Int, _ windows: [(example: Int, tokens: [Int32])]) throws -> [Int: [Int32]] {
    var generator = SeededGenerator(seed: seed ^ UInt64(step &+ 1) &* 0x9e37_79b9_7f4a_7c15)
    let drawn = windows.map { ($0, Double.random(in: 0..<1, using: &generator) < share) }
    guard drawn.contains(where: \.1) else { return [:] }
    var groups: [Int: [(example: Int, tokens: [Int32], seed: UInt64)]] = [:]
    for (window, isDrawn) in drawn {
      let seed = generator.next()
      guard isDrawn, window.tokens.count > 1 else { continue }
      groups[window.tokens.count, default: []].append((window.example, window.tokens, seed))
    }
    let executor = Executor(present, threads: threads)
    var written: [Int: [Int32]] = [:]
    for (length, group) in groups.sorted(by: { $0.key < $1.key }) {
      let sequences = try executor.continued(
        group.map { Array($0.tokens.prefix(max(length / 8, 1))) },
        to: length,
        sampling: group.map { Sampling(temperature: 1, seed: $0.seed) }
      )
      for (window, tokens) in zip(group, sequences) { written[window.example] = tokens }
    }
    return written
  }

  /// The student as it is now.
  private var present: Model {
    var tensors: [TensorName: DerivedTensor] = [:]
    for item in parameters where student.source.manifest[item.name] != nil {
      tensors[item.name] = DerivedTensor(item.tensor)
    }
    return Model(graph: student.graph, source: student.source.overlaid(with: tensors))
  }
}
