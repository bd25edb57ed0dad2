package import KaratBytes
package import KaratTensors

extension CheckpointError {
  /// Says in a checkpoint's words what the operating system refused.
  package init(_ error: FileError) {
    let kind: Kind =
      switch error.kind {
      case .missing: .missing
      case .exists: .exists
      case .unsuitable: .unsupported
      case .permission, .full, .other: .inputOutput
      }
    self.init(kind, file: error.path, error.message)
  }

  /// Runs work on files, and says in a checkpoint's words what the operating system refused.
  package static func onFiles<Result: ~Copyable>(
    _ work: () throws(FileError) -> Result
  ) throws(CheckpointError) -> Result {
    do throws(FileError) {
      return try work()
    } catch {
      throw CheckpointError(error)
    }
  }
}
