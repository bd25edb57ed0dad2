/// A file that appears at its path whole, or not at all.
///
/// The bytes grow in a hidden file beside the target; `commit()` flushes them to the disk and moves
/// the file into its place. A file that is dropped before is removed, so that an error on the way
/// leaves neither half an output nor litter, and a file that was there stays as it was.
public struct AtomicFile: ~Copyable {
  /// How many bytes were written.
  public private(set) var byteCount = 0

  private let place: TemporaryPath
  private let isReplacing: Bool
  private var descriptor: FileDescriptor?
  private var pending: [UInt8] = []
  private static let largestPending = 1 << 20

  /// Starts a file.
  ///
  /// - Parameters:
  ///   - path: where the file is to appear.
  ///   - isReplacing: whether a file that is there may be replaced.
  /// - Throws: `FileError` where the target exists and may not be replaced, is something else than a
  ///   file, or its folder cannot be written to.
  public init(_ path: String, replacing isReplacing: Bool = false) throws(FileError) {
    if FileStatus.isThere(path) {
      guard isReplacing else { throw .exists(path) }
      if let status = try? FileStatus(of: path), status.kind != .file {
        throw FileError(
          .unsuitable,
          path,
          .create,
          "this is a folder, a pipe or a device; only a file can be replaced by a file."
        )
      }
    }
    let place = TemporaryPath(for: path)
    descriptor = try FileDescriptor.creating(place.temporary, onTheWayTo: path)
    self.place = place
    self.isReplacing = isReplacing
    pending.reserveCapacity(Self.largestPending)
  }

  deinit {
    if descriptor != nil { Folder.remove(place.temporary) }
  }

  /// Appends bytes.
  ///
  /// - Throws: `FileError` where the disk is full or fails.
  public mutating func write(_ bytes: UnsafeRawBufferPointer) throws(FileError) {
    if pending.count + bytes.count > Self.largestPending { try writePending() }
    if bytes.count > Self.largestPending {
      try descriptor?.append(bytes)
    } else {
      pending.append(contentsOf: bytes)
    }
    byteCount += bytes.count
  }

  /// Appends bytes from an array.
  ///
  /// - Throws: `FileError` where the disk is full or fails.
  public mutating func write(_ bytes: [UInt8]) throws(FileError) {
    try bytes.span.withUnsafeBytes { bytes throws(FileError) in try write(bytes) }
  }

  /// Flushes the bytes to the disk and moves the file into its place.
  ///
  /// - Throws: `FileError` where the disk is full or fails, or the target came to exist in the
  ///   meantime and may not be replaced; the hidden file is removed then.
  public consuming func commit() throws(FileError) {
    do throws(FileError) {
      try writePending()
      try descriptor?.flush()
      try descriptor.take()?.finish()
      if isReplacing { try place.moveReplacing() } else { try place.moveFile() }
    } catch {
      Folder.remove(place.temporary)
      throw error
    }
  }

  private mutating func writePending() throws(FileError) {
    try pending.span.withUnsafeBytes { bytes throws(FileError) in try descriptor?.append(bytes) }
    pending.removeAll(keepingCapacity: true)
  }
}
