public import KaratBytes

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
    var sequences: [TeacherText.Sequence] = []
    for index in 0..<taken {
      progress.report("write", index, of: taken, "sequences")
      let start = index * available / taken * promptLength
      var tokens = Array(text[start..<start + promptLength])
      var sampling = sampling
      sampling.seed &+= UInt64(index) &* 0x9e37_79b9_7f4a_7c15
      // Stop tokens are learned too, so they are not left to `generate`, which does not show them.
      try generate(
        prompt: tokens,
        maximumTokens: length - promptLength,
        sampling: sampling,
        stops: []
      ) { token in
        tokens.append(token)
        return !stops.contains(token)
      }
      sequences.append(TeacherText.Sequence(tokens: tokens, promptLength: promptLength))
    }
    progress.report("write", taken, of: taken, "sequences")
    return TeacherText(sequences: sequences)
  }
}
