#if canImport(Darwin)
import Darwin
#elseif canImport(Musl)
import Musl
#else
import Glibc
#endif

/// The calls to the operating system, made again when a signal interrupts them.
enum SystemCall {
  /// Makes a call that says by −1 that it was refused, and gives what it returns.
  ///
  /// - Throws: `FileError` with the error number.
  static func check<Result: SignedInteger>(
    _ path: String,
    _ operation: FileError.Operation,
    _ call: () -> Result
  ) throws(FileError) -> Result {
    while true {
      let result = call()
      if result != -1 { return result }
      guard errno == EINTR else { throw FileError(errno: errno, path, operation) }
    }
  }

  /// The system's words for an error number, such as `no space left on device`.
  static func text(of errno: Int32) -> String {
    let words = String(cString: strerror(errno))
    return words.prefix(1).lowercased() + words.dropFirst()
  }
}

extension FileError.Kind {
  init(errno: Int32) {
    self =
      switch errno {
      case ENOENT, ENOTDIR: .missing
      case EEXIST, ENOTEMPTY: .exists
      case EACCES, EPERM, EROFS: .permission
      case ENOSPC, EDQUOT, EFBIG: .full
      case EISDIR, ENXIO, ENODEV: .unsuitable
      default: .other
      }
  }
}
