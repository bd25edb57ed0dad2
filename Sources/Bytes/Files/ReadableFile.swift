/// A regular file that is read at any offset.
///
/// Reading copies. A file that something else makes shorter in the meantime gives an error and not,
/// as a mapped one would, a signal that ends the process: this is the way to read by default.
public final class ReadableFile: Sendable {
  /// The path, as the user named it.
  public let path: String
  /// The length in bytes when it was opened.
  public let byteCount: Int

  private let descriptor: FileDescriptor

  /// Opens a file.
  ///
  /// - Throws: `FileError` where there is none, the rights do not suffice, or the path names a
  ///   folder, a pipe or a device.
  public init(_ path: String) throws(FileError) {
    let descriptor = try FileDescriptor.reading(path)
    self.path = path
    byteCount = try descriptor.status().byteCount
    self.descriptor = descriptor
  }

  /// Reads into the whole of a buffer from an offset.
  ///
  /// - Throws: `FileError` where the range is not in the file, or the device fails.
  public func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws(FileError) {
    guard offset >= 0, offset <= byteCount, buffer.count <= byteCount - offset else {
      throw FileError(
        .other,
        path,
        .read,
        "it holds \(byteCount) bytes; \(buffer.count) bytes from offset \(offset) were needed."
      )
    }
    try descriptor.read(into: buffer, at: offset)
  }

  /// Reads a range of bytes into an array.
  ///
  /// - Throws: `FileError` where the range is not in the file, or the device fails.
  public func bytes(_ range: Range<Int>) throws(FileError) -> [UInt8] {
    guard range.lowerBound >= 0, range.upperBound <= byteCount else {
      throw FileError(
        .other,
        path,
        .read,
        "it holds \(byteCount) bytes; the bytes \(range) were needed."
      )
    }
    var refusal: FileError?
    let bytes = [UInt8](unsafeUninitializedCapacity: range.count) { buffer, count in
      do throws(FileError) {
        let whole = UnsafeMutableRawBufferPointer(
          rebasing: UnsafeMutableRawBufferPointer(buffer)[..<range.count]
        )
        try read(into: whole, at: range.lowerBound)
        count = range.count
      } catch {
        refusal = error
      }
    }
    if let refusal { throw refusal }
    return bytes
  }

  /// Reads the whole file into an array.
  ///
  /// - Parameters:
  ///   - path: the file.
  ///   - limit: the most bytes that it may hold.
  /// - Returns: the bytes.
  /// - Throws: `FileError` where it cannot be read or is longer than the limit.
  public static func contents(of path: String, limit: Int = 1 << 30) throws(FileError) -> [UInt8] {
    let file = try ReadableFile(path)
    guard file.byteCount <= limit else {
      throw FileError(
        .unsuitable,
        path,
        .read,
        "it holds \(file.byteCount) bytes; at most \(limit) were expected in a file of this kind."
      )
    }
    return try file.bytes(0..<file.byteCount)
  }
}
