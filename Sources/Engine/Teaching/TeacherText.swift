public import KaratBytes
import KaratGraphs

/// Text that a teacher wrote for a student to learn on (Kim and Rush, 2016: sequence-level
/// distillation): beginnings from a text, and how the teacher goes on.
public struct TeacherText: Sendable, Hashable {
  /// One beginning and its continuation.
  public struct Sequence: Sendable, Hashable {
    /// The tokens; the last is a stop token where the teacher came to an end.
    public let tokens: [Int32]
    /// How many of them are the text's own.
    public let promptLength: Int
  }

  /// The sequences, in the order of their beginnings in the text.
  public let sequences: [Sequence]

  /// The sequences one behind the other, cut into windows of one length; what is left is not used.
  public func windows(of length: Int) -> [[Int32]] {
    let tokens = sequences.flatMap(\.tokens)
    guard length > 0 else { return [] }
    return stride(from: 0, through: tokens.count - length, by: length).map {
      Array(tokens[$0..<$0 + length])
    }
  }
}

extension Executor {
  /// Lets the model go on from places of a text.
  ///
  /// - Parameters:
  ///   - text: tokens of the text that beginnings are taken from, spread evenly.
  ///   - count: how many sequences are written, at most as many as the text has whole beginnings.
  ///   - promptLength: tokens of a beginning.
  ///   - length: tokens of a sequence at most, its beginning included.
  ///   - sampling: how each token is chosen; each sequence draws from a seed of its own.
  ///   - stops: tokens that end a sequence, of which they are the last.
  ///   - progress: hears how far the work is.
  /// - Returns: the sequences; the same for the same seed.
  /// - Throws: `EngineError` where the text is shorter than a beginning, a length is none, or the logits
  ///   are not numbers; `CheckpointError` where a parameter cannot be pulled.
  public func writtenText(
    from text: [Int32],
    count: Int,
    promptLength: Int,
    length: Int,
    sampling: Sampling,
    stops: Set<Int32> = [],
    progress: ProgressReporter = .silent
  ) throws -> TeacherText {
    guard promptLength >= 1, length > promptLength else {
      throw EngineError(
        "sequences of \(length) tokens that begin with \(promptLength) were asked for; a beginning "
          + "needs at least one, and the sequence one more."
      )
    }
    let available = text.count / promptLength
    guard available > 0 else {
      throw EngineError(
        "the text has \(text.count) tokens; one beginning needs \(promptLength). Give more text, or "
          + "ask for shorter beginnings."
      )
    }
    let taken = min(max(count, 0), available)
    let prompts = (0..<taken).map { index in
      let start = index * available / taken * promptLength
      return Array(text[start..<start + promptLength])
    }
    let samplings = (0..<taken).map { index in
      var sampling = sampling
      sampling.seed &+= UInt64(index) &* 0x9e37_79b9_7f4a_7c15
      return sampling
    }
    let written = try continued(
      prompts,
      to: length,
      sampling: samplings,
      stops: stops,
      progress: progress
    )
    return TeacherText(
      sequences: written.map { TeacherText.Sequence(tokens: $0, promptLength: promptLength) }
    )
  }

  /// Lets the model go on from beginnings of one length, some of them together.
  ///
  /// - Parameters:
  ///   - prompts: the beginnings, at least one token each.
  ///   - length: tokens of a sequence at most, its beginning included.
  ///   - sampling: for each how its tokens are chosen.
  ///   - stops: tokens that end a sequence, of which they are the last.
  ///   - progress: hears how far the work is.
  /// - Returns: the sequences; the same on every machine that computes the same logits.
  /// - Throws: as `writtenText` does.
  public func continued(
    _ prompts: [[Int32]],
    to length: Int,
    sampling: [Sampling],
    stops: Set<Int32> = [],
    progress: ProgressReporter = .silent
  ) throws -> [[Int32]] {
    let together = model.graph.sequencesTogether(of: length)
    var sequences = prompts
    for first in stride(from: 0, to: prompts.count, by: together) {
      progress.report("write", first, of: prompts.count, "sequences")
      let run = first..<min(first + together, prompts.count)
      try extend(
        Array(prompts[run]),
        by: length - prompts[first].count,
        sampling: Array(sampling[run])
      ) { index, token in
        sequences[first + index].append(token)
        // Stop tokens are learned too.
        return !stops.contains(token)
      }
    }
    progress.report("write", prompts.count, of: prompts.count, "sequences")
    return sequences
  }
}

extension Graph {
  /// How many sequences are written together: as many as have 512 MB of keys and values, 32 at most;
  /// the same on every machine, so that the text is.
  fileprivate func sequencesTogether(of length: Int) -> Int {
    let kept = nodes.flatMap { node -> ArraySlice<ValueID> in
      switch node.op {
      case .attention: node.inputs[1...2]
      case .latentAttention: node.inputs[2...3]
      default: []
      }
    }
    let floats = kept.reduce(0) { $0 + (type(of: $1).features ?? 0) }
    return min(max((512 << 20) / max(4 * floats * length, 1), 1), 32)
  }
}
