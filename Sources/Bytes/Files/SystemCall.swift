#if canImport(Darwin)
import Darwin
#elseif canImport(Musl)
import Musl
#else
import Glibc
#endif

/// How calls to the operating system are made.
enum SystemCall {
  /// Makes a call that says by −1 that it was refused, and gives what it returns.
  static func once<Result: SignedInteger>(_ call: () -> Result) throws(Errno) -> Result {
    let result = call()
    guard result != -1 else { throw Errno(errno) }
    return result
  }

  /// Makes a call, again as long as signals interrupt it.
  static func again<Result>(_ call: () throws(Errno) -> Result) throws(Errno) -> Result {
    while true {
      do throws(Errno) {
        return try call()
      } catch  where error.code == EINTR {}
    }
  }

  /// Makes a call, again as long as signals interrupt it.
  ///
  /// - Throws: `FileError` with the path and the error number.
  static func check<Result>(
    _ path: String,
    _ operation: FileError.Operation,
    _ call: () throws(Errno) -> Result
  ) throws(FileError) -> Result {
    do throws(Errno) {
      return try again(call)
    } catch {
      throw FileError(errno: error.code, path, operation)
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
