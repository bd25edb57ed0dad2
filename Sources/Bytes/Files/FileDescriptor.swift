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
  private(set) var number: Int32

  /// Opens a regular file for reading, without waiting where the path names a pipe.
  static func reading(_ path: String) throws(FileError) -> FileDescriptor {
    let descriptor = try FileDescriptor(path, O_RDONLY | O_NONBLOCK, .open)
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

  /// Creates a file for writing; refuses where there is anything at the path.
  ///
  /// Errors name the target, which the user knows.
  static func creating(
    _ path: String,
    onTheWayTo target: String
  ) throws(FileError) -> FileDescriptor {
    try FileDescriptor(path, O_WRONLY | O_CREAT | O_EXCL, .create, name: target)
  }

  private init(
    _ path: String,
    _ flags: Int32,
    _ operation: FileError.Operation,
    name: String? = nil
  ) throws(FileError) {
    let name = name ?? path
    number = try SystemCall.check(name, operation) { open(path, flags | O_CLOEXEC, 0o666) }
    self.path = name
  }

  deinit {
    if number >= 0 { _ = close(number) }
  }

  /// What kind of file it is, and how long.
  func status() throws(FileError) -> FileStatus {
    var status = stat()
    _ = try SystemCall.check(path, .open) { fstat(number, &status) }
    return FileStatus(status)
  }

  /// Reads into the whole of a buffer from an offset of the file.
  func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws(FileError) {
    var done = 0
    while done < buffer.count {
      let rest = UnsafeMutableRawBufferPointer(rebasing: buffer[done...])
      let count = try SystemCall.check(path, .read) {
        pread(number, rest.baseAddress, min(rest.count, Self.largestTransfer), off_t(offset + done))
      }
      guard count > 0 else {
        throw FileError(
          .other,
          path,
          .read,
          "it ends at byte \(offset + done), where bytes up to \(offset + buffer.count) were there"
            + " when it was opened. Something else changes it; wait until that is done."
        )
      }
      done += count
    }
  }

  /// Writes the whole of a buffer behind what was written.
  func append(_ buffer: UnsafeRawBufferPointer) throws(FileError) {
    var done = 0
    while done < buffer.count {
      let rest = UnsafeRawBufferPointer(rebasing: buffer[done...])
      done += try SystemCall.check(path, .write) {
        write(number, rest.baseAddress, min(rest.count, Self.largestTransfer))
      }
    }
  }

  /// Makes what was written last through a power cut.
  func flush() throws(FileError) {
    #if canImport(Darwin)
    // Darwin's fsync leaves the bytes in the drive's cache.
    if fcntl(number, F_FULLFSYNC) == 0 { return }
    #endif
    _ = try SystemCall.check(path, .flush) { fsync(number) }
  }

  /// Closes, and says where the system reports a late fault of writing.
  ///
  /// A close that a signal interrupts is not made again: the number may be another file's by then.
  consuming func finish() throws(FileError) {
    let closing = number
    number = -1
    if close(closing) == -1, errno != EINTR { throw FileError(errno: errno, path, .close) }
  }

  // Linux moves at most 2³¹ − 4096 bytes in one call; Darwin refuses more than 2³¹ − 1.
  private static let largestTransfer = 1 << 30
}
