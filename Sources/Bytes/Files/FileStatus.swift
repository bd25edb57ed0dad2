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
  /// What tells it from every other file, whatever paths name it.
  package let identity: Identity

  /// A device's number and a file's number on it.
  package struct Identity: Sendable, Hashable {
    package let device: Int
    package let number: Int

    package init(device: Int, number: Int) {
      self.device = device
      self.number = number
    }
  }

  package init(kind: Kind, byteCount: Int, identity: Identity) {
    self.kind = kind
    self.byteCount = byteCount
    self.identity = identity
  }

  /// Looks at what a path names, behind symbolic links.
  ///
  /// - Throws: `FileError` where there is nothing, or the rights do not suffice.
  package init(of path: String) throws(FileError) {
    self = try SystemCall.check(path, .open) { () throws(Errno) in
      try RealFileSystem.real.status(of: path, followingLink: true)
    }
  }

  init(_ status: stat) {
    kind =
      switch status.st_mode & S_IFMT {
      case S_IFREG: .file
      case S_IFDIR: .folder
      default: .other
      }
    byteCount = Int(status.st_size)
    identity = Identity(
      device: Int(truncatingIfNeeded: status.st_dev),
      number: Int(truncatingIfNeeded: status.st_ino)
    )
  }

  /// Whether a path names anything, be it a symbolic link that leads nowhere.
  package static func isThere(_ path: String) -> Bool {
    (try? RealFileSystem.real.isThere(path)) ?? false
  }
}
