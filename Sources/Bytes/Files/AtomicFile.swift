/// A file that appears at its path whole, or not at all.
///
/// The bytes grow in a hidden file beside the target; `commit()` flushes them to the disk and moves
/// the file into its place. A file that is dropped before is removed, so that an error on the way
/// leaves neither half an output nor litter, and a file that was there stays as it was. What a
/// process leaves that is killed, the next writer of the same target removes.
public struct AtomicFile: ~Copyable {
  /// How many bytes were written.
  public private(set) var byteCount = 0

  private let fileSystem: any FileSystem
  private let file: WritableFile
  private let path: String
  private let destination: Destination
  private var isDone = false
  private var pending: [UInt8] = []
  /// Up to where the system was asked to begin writing to the disk.
  private var flushedByteCount = 0
  private static let flushByteCount = 32 << 20
  private let largestPending: Int

  private enum Destination {
    /// The file is moved to the target.
    case target(String, isReplacing: Bool, lock: WritableFile)
    /// The file is in its place already, within a folder that is hidden as a whole.
    case hiddenFolder
  }

  /// Starts a file.
  ///
  /// - Parameters:
  ///   - path: where the file is to appear.
  ///   - isReplacing: whether a file that is there may be replaced.
  /// - Throws: `FileError` where the target exists and may not be replaced, is something else than a
  ///   file, or its folder cannot be written to.
  public init(_ path: String, replacing isReplacing: Bool = false) throws(FileError) {
    try self.init(path, replacing: isReplacing, expecting: nil, on: .real)
  }

  /// Starts a file on a file system.
  ///
  /// - Parameters:
  ///   - path: where the file is to appear.
  ///   - isReplacing: whether a file that is there may be replaced.
  ///   - byteCount: how many bytes are to come, where that is known.
  ///   - bufferSize: the most bytes that wait to be written together.
  ///   - fileSystem: what makes the calls.
  /// - Throws: `FileError` where the target exists and may not be replaced, is something else than a
  ///   file, its folder cannot be written to, or the disk has not the room.
  package init(
    _ path: String,
    replacing isReplacing: Bool = false,
    expecting byteCount: Int?,
    bufferSize: Int = 1 << 20,
    on fileSystem: any FileSystem = .real
  ) throws(FileError) {
    let paths = PartialPaths(for: path)
    fileSystem.clearStrays(of: paths)
    try fileSystem.checkFile(path, isReplacing: isReplacing)
    if let byteCount {
      try fileSystem.checkRoom(for: byteCount, in: paths.folder, of: path)
    }
    let (partial, file) = try fileSystem.createPartialFile(for: paths)
    self.fileSystem = fileSystem
    self.file = file
    self.path = partial.path
    destination = .target(paths.target, isReplacing: isReplacing, lock: partial.lock)
    largestPending = bufferSize
    pending.reserveCapacity(bufferSize)
  }

  /// Starts a file within a folder that is hidden as a whole.
  init(
    inHiddenFolder path: String,
    onTheWayTo target: String,
    bufferSize: Int,
    on fileSystem: any FileSystem
  ) throws(FileError) {
    file = try fileSystem.create(path, onTheWayTo: target)
    self.fileSystem = fileSystem
    self.path = path
    destination = .hiddenFolder
    largestPending = bufferSize
    pending.reserveCapacity(bufferSize)
  }

  deinit {
    if !isDone { fileSystem.removeAll(at: path) }
  }

  /// Where the file is to appear, as the user named it.
  package var target: String { file.path }

  /// Appends bytes.
  ///
  /// - Throws: `FileError` where the disk is full or fails; `commit()` throws it again then.
  public mutating func write(_ bytes: UnsafeRawBufferPointer) throws(FileError) {
    if pending.count + bytes.count > largestPending { try writePending() }
    if bytes.count > largestPending {
      try file.write(bytes, at: byteCount)
    } else {
      pending.append(contentsOf: bytes)
    }
    byteCount += bytes.count
    let written = byteCount - pending.count
    if written - flushedByteCount >= Self.flushByteCount {
      file.startFlush(flushedByteCount..<written)
      flushedByteCount = written
    }
  }

  /// Appends bytes from an array.
  ///
  /// - Throws: `FileError` where the disk is full or fails; `commit()` throws it again then.
  public mutating func write(_ bytes: [UInt8]) throws(FileError) {
    try bytes.span.withUnsafeBytes { bytes throws(FileError) in try write(bytes) }
  }

  /// Flushes the bytes to the disk and moves the file into its place.
  ///
  /// - Throws: `FileError` where the disk is full or fails, or the target came to exist in the
  ///   meantime and may not be replaced; the hidden file is removed then.
  public consuming func commit() throws(FileError) {
    try writePending()
    try file.flush()
    try file.close()
    switch destination {
    case .target(let target, true, _): try fileSystem.move(path, replacing: target)
    case .target(let target, false, _): try fileSystem.move(path, to: target)
    case .hiddenFolder: try fileSystem.flushFolder(Folder.containing(path), onTheWayTo: target)
    }
    isDone = true
  }

  private mutating func writePending() throws(FileError) {
    let start = byteCount - pending.count
    try pending.span.withUnsafeBytes { bytes throws(FileError) in
      try file.write(bytes, at: start)
    }
    pending.removeAll(keepingCapacity: true)
  }
}

extension FileSystem {
  /// Refuses a target that is there and may not be replaced by a file.
  func checkFile(_ path: String, isReplacing: Bool) throws(FileError) {
    guard try isThere(path) else { return }
    guard isReplacing else { throw .exists(path) }
    if let status = try? status(of: path, followingLink: true), status.kind != .file {
      throw FileError(
        .unsuitable,
        path,
        .create,
        "this is a folder, a pipe or a device; only a file can be replaced by a file."
      )
    }
  }
}
