/// Why a store of a teacher's probabilities cannot be made or used.
public struct TeacherStoreError: Error, Hashable, Sendable, CustomStringConvertible {
  /// Where, what is, what was needed, and what to do.
  public let description: String

  /// Describes a fault of the file at a path.
  init(_ path: String, _ message: String) {
    description = "\(path): \(message)"
  }
}
