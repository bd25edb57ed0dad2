/// What the operating system refused to do with a file or folder, and what may help.
public struct FileError: Error, Hashable, Sendable, CustomStringConvertible {
  /// What kind of refusal it is.
  public enum Kind: Sendable, Hashable {
    /// There is nothing at that path.
    case missing
    /// The output is there already.
    case exists
    /// The rights do not suffice.
    case permission
    /// The disk, the quota or the largest size of a file is used up.
    case full
    /// The path names something else than was needed: a folder, a pipe, a device.
    case unsuitable
    /// Anything else, such as a failing device.
    case other
  }

  /// What was to be done.
  public enum Operation: String, Sendable, Hashable {
    case open = "opened"
    case read = "read"
    case map = "mapped into memory"
    case list = "listed"
    case create = "created"
    case write = "written"
    case flush = "flushed to the disk"
    case close = "closed"
    case rename = "put in its place"
    case lock = "locked"
  }

  /// What kind of refusal it is.
  public let kind: Kind
  /// The file or folder, as the user named it.
  public let path: String
  /// What was to be done with it.
  public let operation: Operation
  /// The system's error number, or 0 where the refusal is our own.
  public let errno: Int32
  /// What is, what was needed, and what to do, in whole sentences.
  public let message: String

  /// The path and the message.
  public var description: String { "\(path): \(message)" }

  /// Describes a refusal of our own.
  package init(_ kind: Kind, _ path: String, _ operation: Operation, _ message: String) {
    self.kind = kind
    self.path = path
    self.operation = operation
    self.errno = 0
    self.message = message
  }

  /// Describes a refusal of the system by its error number.
  package init(errno: Int32, _ path: String, _ operation: Operation) {
    let kind = Kind(errno: errno)
    self.kind = kind
    self.path = path
    self.operation = operation
    self.errno = errno
    message =
      "it cannot be \(operation.rawValue): \(SystemCall.text(of: errno)) (\(errno))."
      + kind.remedy
  }

  private init(_ error: FileError, at path: String) {
    kind = error.kind
    self.path = path
    operation = error.operation
    errno = error.errno
    message = error.message
  }

  /// The same refusal of a file that the user knows by another path.
  func at(_ path: String) -> FileError { FileError(self, at: path) }

  /// A file has become shorter than it was.
  static func ends(_ path: String, at offset: Int, needed: Int) -> FileError {
    FileError(
      .other,
      path,
      .read,
      "it ends at byte \(offset), where bytes up to \(needed) were there when it was opened."
        + " Something else changes it; wait until that is done."
    )
  }

  /// The output is there already.
  package static func exists(_ path: String) -> FileError {
    FileError(
      .exists,
      path,
      .create,
      "it exists already. Choose another name, or say that it is to be replaced."
    )
  }
}

extension FileError.Kind {
  fileprivate var remedy: String {
    switch self {
    case .missing: " Check the path."
    case .exists: " Choose another name, or say that it is to be replaced."
    case .permission: " Check who owns it and its permissions."
    case .full: " Free some space, or write to another disk."
    case .unsuitable, .other: ""
    }
  }
}
