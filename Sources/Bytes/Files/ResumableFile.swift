/// A file that several runs may make together, and that appears at its path whole, or not at all.
///
/// The bytes stay on a hidden path that the target's name alone decides. A run that ends before
/// `commit()`, however it ends, leaves them there, and the next one opens them again: what is in them
/// that lasts, and what must be cut off, is for the format to tell.
package struct ResumableFile: ~Copyable {
  /// The bytes so far; empty where no run came before.
  package let file: WritableFile

  private let fileSystem: any FileSystem
  private let target: String
  private let isReplacing: Bool
  private let partial: Partial

  /// Opens what was left by an interrupted run, or starts a file.
  ///
  /// - Parameters:
  ///   - path: where the file is to appear.
  ///   - isReplacing: whether a file that is there may be replaced.
  ///   - fileSystem: what makes the calls.
  /// - Throws: `FileError` where the target exists and may not be replaced, is something else than a
  ///   file, its folder cannot be written to, or another run is writing it.
  package init(
    _ path: String,
    replacing isReplacing: Bool = false,
    on fileSystem: any FileSystem = .real
  ) throws(FileError) {
    let paths = PartialPaths(for: path)
    fileSystem.clearStrays(of: paths, keeping: .resumable)
    try fileSystem.checkFile(path, isReplacing: isReplacing)
    let (partial, file) = try fileSystem.openResumableFile(for: paths)
    try fileSystem.flushFolder(paths.folder, onTheWayTo: path)
    self.fileSystem = fileSystem
    self.file = file
    self.partial = partial
    self.isReplacing = isReplacing
    target = paths.target
  }

  /// Flushes the bytes to the disk and moves the file into its place.
  ///
  /// - Throws: `FileError` where the disk is full or fails, or the target came to exist in the
  ///   meantime and may not be replaced; the bytes stay on the hidden path then.
  package consuming func commit() throws(FileError) {
    try file.flush()
    try file.close()
    if isReplacing {
      try fileSystem.move(partial.path, replacing: target)
    } else {
      try fileSystem.move(partial.path, to: target)
    }
  }

  /// Removes the bytes, so that the next run starts anew.
  package consuming func discard() {
    fileSystem.removeAll(at: partial.path)
  }
}
