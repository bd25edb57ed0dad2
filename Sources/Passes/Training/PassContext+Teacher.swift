import KaratEngine
import KaratGraphs
import KaratTensors

extension PassContext {
  /// What a model says about the windows that a decoder learns from: while that learns, or, where
  /// `top` is not 0, before it does: its `top` most likely tokens for each place are stored, and it
  /// leaves memory.
  ///
  /// - Parameters:
  ///   - model: the teacher, in floating point.
  ///   - student: what learns from it.
  ///   - pass: what needs it.
  ///   - windows: all windows, by their numbers.
  ///   - top: how many tokens are stored, or 0.
  ///   - others: values of the teacher's graph that are wanted too.
  /// - Returns: what it says, and its values for the batch at hand.
  /// - Throws: `PassError` where these do not go together, and what running or storing throws.
  func teaching(
    _ model: Model,
    of student: Graph,
    _ pass: String,
    windows: [[Int32]],
    top: Int,
    showing others: [ValueID] = []
  ) throws -> (target: DecoderTask.Teacher, states: TeacherStates?) {
    let known = (HeadLoss.vocabulary(of: model.graph), HeadLoss.vocabulary(of: student))
    guard known.0 == known.1 else {
      throw PassError(
        pass,
        "the teacher gives \(known.0 ?? 0) logits and the student \(known.1 ?? 0); as many are needed, "
          + "padding included. Name a teacher whose embedding has as many rows."
      )
    }
    guard top > 0 else {
      let teacher = try TeacherModel(
        Executor(model, threads: threads, memory: memory),
        showing: others
      )
      return ({ _, windows in try teacher.target(windows) }, teacher.states)
    }
    guard others.isEmpty else {
      throw PassError(
        pass,
        "top is \(top), so that the teacher is stored; its states and relations are not. Leave out top, "
          + "or states and relations."
      )
    }
    guard let storeTeacher else {
      throw PassError(
        pass,
        "top is \(top), and there is no place to store the teacher. Leave it out."
      )
    }
    let stored = try storeTeacher(windows, top)
    let target: DecoderTask.Teacher = { examples, windows in
      var (tokens, logProbabilities): ([Int32], [Float]) = ([], [])
      for (example, window) in zip(examples, windows) {
        let found = try stored(example)
        // Places of padding say anything; they have no label.
        let missing = window.count * top - found.indices.count
        tokens += found.indices + Array(repeating: 0, count: missing)
        logProbabilities += found.logProbabilities + Array(repeating: 0, count: missing)
      }
      return .top(tokens: tokens, logProbabilities: logProbabilities, count: top)
    }
    return (target, nil)
  }
}
