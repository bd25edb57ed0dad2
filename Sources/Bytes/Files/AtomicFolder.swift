/// A folder that appears at its path with all its files, or not at all.
///
/// The files grow in a hidden folder beside the target; `commit()` moves it into its place. A folder
/// that is dropped before is removed with all that is in it.
public struct AtomicFolder: ~Copyable {
  /// Where the files are to be written until `commit()`.
  public var path: String { place.temporary }

  private let place: TemporaryPath
  private let isReplacing: Bool
  private var isOpen = true

  /// Starts a folder.
  ///
  /// - Parameters:
  ///   - target: where the folder is to appear.
  ///   - marker: a folder that is there is replaced only where it holds a file of this name, which
  ///     shows that we wrote it; nil where it may not be replaced at all.
  /// - Throws: `FileError` where the target exists and may not be replaced, or its folder cannot be
  ///   written to.
  public init(_ target: String, replacingFolderWith marker: String? = nil) throws(FileError) {
    let place = TemporaryPath(for: target)
    let isReplacing = FileStatus.isThere(place.target)
    if isReplacing {
      guard let marker else { throw .exists(target) }
      guard FileStatus.isThere(Folder.join(place.target, marker)) else {
        throw FileError(
          .exists,
          target,
          .create,
          "it exists already and holds no \(marker), so it is not certain that it may go. Choose"
            + " another name, or remove it yourself."
        )
      }
    }
    do {
      try Folder.create(place.temporary)
    } catch {
      throw FileError(errno: error.errno, target, .create)
    }
    self.place = place
    self.isReplacing = isReplacing
  }

  deinit {
    if isOpen { Folder.remove(place.temporary) }
  }

  /// Starts a file in the folder.
  ///
  /// - Parameter name: its name, without folders.
  /// - Returns: the file; commit it before the folder.
  /// - Throws: `FileError` where it exists already or cannot be created.
  public func file(_ name: String) throws(FileError) -> AtomicFile {
    try AtomicFile(Folder.join(path, name))
  }

  /// Copies a file into the folder.
  ///
  /// - Throws: `FileError` where it cannot be read or written.
  public func copy(_ source: String, as name: String) throws(FileError) {
    let source = try ReadableFile(source)
    var copy = try file(name)
    let window = 1 << 22
    for start in stride(from: 0, to: source.byteCount, by: window) {
      try copy.write(try source.bytes(start..<min(start + window, source.byteCount)))
    }
    try copy.commit()
  }

  /// Moves the folder into its place.
  ///
  /// - Throws: `FileError` where the target came to exist in the meantime, or the disk fails; the
  ///   hidden folder is removed then.
  public consuming func commit() throws(FileError) {
    try Folder.flush(place.temporary)
    if isReplacing { try place.exchangeFolder() } else { try place.moveFolder() }
    isOpen = false
  }
}
