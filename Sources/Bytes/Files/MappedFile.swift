#if canImport(Darwin)
import Darwin
#elseif canImport(Musl)
import Musl
#else
import Glibc
#endif

/// A regular file as read-only memory.
///
/// Reading costs no copy, and the memory is given back when the system needs it. The price: a file
/// that something else makes shorter in the meantime ends the process by a signal. Use it for files
/// that nothing else writes, and `ReadableFile` otherwise.
public final class MappedFile: Sendable {
  /// The path, as the user named it.
  public let path: String
  /// The content; it lives as long as this object.
  public var bytes: UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(start: start, count: byteCount)
  }
  /// The length in bytes.
  public let byteCount: Int

  // Never written through, and unmapped only when the last user is gone.
  private nonisolated(unsafe) let start: UnsafeMutableRawPointer?

  /// Maps a file.
  ///
  /// - Throws: `FileError` where there is none, the rights do not suffice, or the path names a
  ///   folder, a pipe or a device.
  public init(_ path: String) throws(FileError) {
    let descriptor = try FileDescriptor.reading(path)
    let byteCount = try descriptor.status().byteCount
    self.path = path
    self.byteCount = byteCount
    guard byteCount > 0 else {
      // The system maps no empty ranges.
      start = nil
      return
    }
    let start = mmap(nil, byteCount, PROT_READ, MAP_PRIVATE, descriptor.number, 0)
    guard start != MAP_FAILED else { throw FileError(errno: errno, path, .map) }
    self.start = start
  }

  deinit {
    if let start { munmap(start, byteCount) }
  }
}
