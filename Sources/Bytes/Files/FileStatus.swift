#if canImport(Darwin)
import Darwin
#elseif canImport(Musl)
import Musl
#else
import Glibc
#endif

/// What a path names, and how long it is.
package struct FileStatus: Sendable, Hashable {
  /// What a path may name.
  package enum Kind: Sendable, Hashable {
    case file, folder
    /// A pipe, a device or a socket.
    case other
  }

  /// What the path names.
  package let kind: Kind
  /// The length in bytes.
  package let byteCount: Int

  /// Looks at what a path names, behind symbolic links.
  ///
  /// - Throws: `FileError` where there is nothing, or the rights do not suffice.
  package init(of path: String) throws(FileError) {
    var status = stat()
    _ = try SystemCall.check(path, .open) { stat(path, &status) }
    self.init(status)
  }

  init(_ status: stat) {
    kind =
      switch status.st_mode & S_IFMT {
      case S_IFREG: .file
      case S_IFDIR: .folder
      default: .other
      }
    byteCount = Int(status.st_size)
  }

  /// Whether a path names anything, be it a symbolic link that leads nowhere.
  package static func isThere(_ path: String) -> Bool {
    var status = stat()
    return lstat(path, &status) == 0
  }
}
