#if canImport(Darwin)
import Darwin
#elseif canImport(Musl)
import Musl
#else
import Glibc
#endif

/// A folder that appears at its path with all its files, or not at all.
///
/// The files grow in a hidden folder beside the target; `commit()` moves it into its place, and where
/// a folder is there already, both change places in one step. A folder that is dropped before is
/// removed with all that is in it; what a process leaves that is killed, the next writer of the same
/// target removes.
public struct AtomicFolder: ~Copyable {
  /// Where the files are until `commit()`.
  public var path: String { partial.path }

  /// Where the folder is to appear.
  package var target: String { paths.target }

  private let fileSystem: any FileSystem
  private let paths: PartialPaths
  private let partial: Partial
  private let marker: String?
  private var isDone = false

  /// Starts a folder.
  ///
  /// - Parameters:
  ///   - target: where the folder is to appear.
  ///   - marker: a folder that is there is replaced only where it holds a file of this name, which
  ///     shows that we wrote it; nil where it may not be replaced at all.
  /// - Throws: `FileError` where the target exists and may not be replaced, or its folder cannot be
  ///   written to.
  public init(_ target: String, replacingFolderWith marker: String? = nil) throws(FileError) {
    try self.init(target, replacingFolderWith: marker, expecting: nil, on: .real)
  }

  /// Starts a folder on a file system.
  ///
  /// - Parameters:
  ///   - target: where the folder is to appear.
  ///   - marker: a folder that is there is replaced only where it holds a file of this name.
  ///   - byteCount: how many bytes are to come, where that is known.
  ///   - fileSystem: what makes the calls.
  /// - Throws: `FileError` where the target exists and may not be replaced, its folder cannot be
  ///   written to, or the disk has not the room.
  package init(
    _ target: String,
    replacingFolderWith marker: String? = nil,
    expecting byteCount: Int?,
    on fileSystem: any FileSystem = .real
  ) throws(FileError) {
    let paths = PartialPaths(for: target)
    fileSystem.clearStrays(of: paths)
    _ = try fileSystem.checkFolder(paths.target, replacingFolderWith: marker)
    if let byteCount {
      try fileSystem.checkRoom(for: byteCount, in: paths.folder, of: target)
    }
    partial = try fileSystem.createPartialFolder(for: paths)
    self.fileSystem = fileSystem
    self.paths = paths
    self.marker = marker
  }

  /// Removes what dead writers left for a target, and puts back what one was about to replace.
  ///
  /// Every writer of the target begins with it; before that, whoever looks at the target does.
  package static func clearStrays(of target: String, on fileSystem: any FileSystem = .real) {
    fileSystem.clearStrays(of: PartialPaths(for: target))
  }

  deinit {
    // After a commit that went wrong, the hidden path may hold what was replaced, and a power cut may
    // bring it back to the target; the next writer flushes the exchange first, and then removes it.
    if isDone || (try? partial.lock.isAt(partial.path)) == true {
      fileSystem.removeAll(at: partial.path)
    }
  }

  /// Starts a file in the folder.
  ///
  /// - Parameter name: its name; folders in it, set off by `/`, are made where they are not there.
  /// - Returns: the file; commit it before the folder. Errors name it as it will be named then.
  /// - Throws: `FileError` where it exists already or cannot be created.
  public func file(_ name: String) throws(FileError) -> AtomicFile {
    try file(name, bufferSize: 1 << 20)
  }

  /// Starts a file in the folder that holds back as many bytes at most, to write them together.
  package func file(_ name: String, bufferSize: Int) throws(FileError) -> AtomicFile {
    var folder = path
    for part in name.split(separator: "/").dropLast() {
      let outer = folder
      folder = Folder.join(outer, String(part))
      try fileSystem.makeFolder(folder, in: outer, onTheWayTo: paths.target)
    }
    return try AtomicFile(
      inHiddenFolder: Folder.join(path, name),
      onTheWayTo: Folder.join(paths.target, name),
      bufferSize: bufferSize,
      on: fileSystem
    )
  }

  /// Runs work that reads the files so far; errors name them as they will be named.
  package func reading<Result>(
    _ work: (_ path: String) throws(FileError) -> Result
  ) throws(FileError) -> Result {
    do throws(FileError) {
      return try work(path)
    } catch {
      guard error.path.utf8.starts(with: path.utf8) else { throw error }
      throw error.at(paths.target + error.path.dropFirst(path.count))
    }
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
  /// - Throws: `FileError` where something came to exist at the target that may not be replaced, or
  ///   the disk fails; the hidden folder is removed then.
  public consuming func commit() throws(FileError) {
    try fileSystem.flushFolder(partial.path, onTheWayTo: paths.target)
    // What is there now need not be what was there at the start.
    if try fileSystem.checkFolder(paths.target, replacingFolderWith: marker) {
      try fileSystem.exchange(partial.path, with: paths)
    } else {
      try fileSystem.move(partial.path, to: paths.target)
    }
    isDone = true
  }
}

extension FileSystem {
  /// Refuses a target that is there and may not be replaced by a folder; says whether it is there.
  fileprivate func checkFolder(
    _ target: String,
    replacingFolderWith marker: String?
  ) throws(FileError) -> Bool {
    guard try isThere(target) else { return false }
    guard let marker else { throw .exists(target) }
    guard try isThere(Folder.join(target, marker)) else {
      throw FileError(
        .exists,
        target,
        .create,
        "it exists already and holds no \(marker), so it is not certain that it may go. Choose"
          + " another name, or remove it yourself."
      )
    }
    return true
  }

  /// Makes a folder where there is none, and flushes its name.
  fileprivate func makeFolder(
    _ path: String,
    in outer: String,
    onTheWayTo target: String
  ) throws(FileError) {
    do throws(FileError) {
      try SystemCall.check(target, .create) { () throws(Errno) in try makeFolder(path) }
    } catch  where error.errno == EEXIST {
      return
    }
    try flushFolder(outer, onTheWayTo: target)
  }

  /// Moves a hidden folder to the target, and the folder that is there to the hidden path, and
  /// flushes the folder of both.
  fileprivate func exchange(_ path: String, with paths: PartialPaths) throws(FileError) {
    do throws(FileError) {
      try step(paths.target) { () throws(Errno) in
        try rename(path, to: paths.target, .exchanging)
      }
      return try flushFolder(paths.folder, onTheWayTo: paths.target)
    } catch  where error.operation == .rename && Errno(error.errno).isUnsupported {}
    // In two steps. Between them the target is not there: the lock on what was there keeps other
    // runs from taking that for a dead one's, and if this one dies, the next puts it back.
    let lock = try openFolder(paths.target, onTheWayTo: paths.target)
    _ = try? lock.tryLock()
    try step(paths.target) { () throws(Errno) in
      try rename(paths.target, to: paths.replaced, .replacing)
    }
    do throws(FileError) {
      try step(paths.target) { () throws(Errno) in
        try rename(path, to: paths.target, .replacing)
      }
    } catch {
      try? step(paths.target) { () throws(Errno) in
        try rename(paths.replaced, to: paths.target, .replacing)
      }
      throw error
    }
    try flushFolder(paths.folder, onTheWayTo: paths.target)
    removeAll(at: paths.replaced)
  }
}
