import ArgumentParser
import Karat

/// How an error ends the command: its message, and the exit code that scripts can tell it by.
struct Failure {
  let message: String
  let code: Int32

  enum Code {
    static let badData: Int32 = 65
    static let noInput: Int32 = 66
    static let ours: Int32 = 70
    static let exists: Int32 = 73
    static let inputOutput: Int32 = 74
  }

  /// - Returns: nil where the error is the argument parser's own, which prints and ends itself.
  init?(_ error: any Error) {
    message = "\(error)"
    switch error {
    case let error as CheckpointError:
      switch error.kind {
      case .malformed, .unsupported: code = Code.badData
      case .missing: code = error.tensor == nil ? Code.noInput : Code.badData
      case .exists: code = Code.exists
      case .inputOutput: code = Code.inputOutput
      }
    case let error as FileError:
      switch error.kind {
      case .missing: code = Code.noInput
      case .exists: code = Code.exists
      case .unsuitable: code = Code.badData
      case .permission, .full, .other: code = Code.inputOutput
      }
    case is ConfigError, is GraphError, is PassError, is RecipeError, is DatasetError,
      is TokenizerError, is EngineError, is VerificationError, is StudentError,
      is VocabularyError, is TeacherStoreError:
      code = Code.badData
    case is ExitCode, is ValidationError, is CleanExit: return nil
    default:
      // The parser's own errors have no public type, but know their exit code.
      guard KaratCommand.exitCode(for: error) == .failure else { return nil }
      code = Code.ours
    }
  }
}
