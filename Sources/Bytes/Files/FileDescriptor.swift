#if canImport(Darwin)
import Darwin
#elseif canImport(Musl)
import Musl
#else
import Glibc
#endif

/// An open file of the operating system; closed when it is dropped.
struct FileDescriptor: ~Copyable {
  /// The path as the user knows it.
  let path: String
  let number: Int32

  /// Opens a regular file for reading, without waiting where the path names a pipe.
  static func reading(_ path: String) throws(FileError) -> FileDescriptor {
    let descriptor = try FileDescriptor(path, O_RDONLY | O_NONBLOCK)
    switch try descriptor.status().kind {
    case .file: return descriptor
    case .folder:
      throw FileError(.unsuitable, path, .open, "this is a folder; a file was needed.")
    case .other:
      throw FileError(
        .unsuitable,
        path,
        .open,
        "this is a pipe, a device or a socket; a regular file was needed. Copy it to a file first."
      )
    }
  }

  private init(_ path: String, _ flags: Int32) throws(FileError) {
    number = try SystemCall.check(path, .open) { () throws(Errno) in
      try SystemCall.once { open(path, flags | O_CLOEXEC) }
    }
    self.path = path
  }

  deinit {
    _ = close(number)
  }

  /// What kind of file it is, and how long.
  func status() throws(FileError) -> FileStatus {
    try SystemCall.check(path, .open) { () throws(Errno) in try RealFileSystem.real.status(number) }
  }

  /// Reads into the whole of a buffer from an offset of the file.
  func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws(FileError) {
    var done = 0
    while done < buffer.count {
      let rest = UnsafeMutableRawBufferPointer(rebasing: buffer[done...])
      let count = try SystemCall.check(path, .read) { () throws(Errno) in
        try RealFileSystem.real.read(number, into: rest, at: offset + done)
      }
      guard count > 0 else { throw .ends(path, at: offset + done, needed: offset + buffer.count) }
      done += count
    }
  }
}
