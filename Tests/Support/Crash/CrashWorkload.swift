/// Something that is written, whose target must be old or new whatever happens on the way.
///
/// To have a new writer tested, add an entry to a list of these; `CrashCheck` does the rest.
package struct CrashWorkload: Sendable {
  /// What a target holds to a reader: bytes by name; nil where a reader finds nothing.
  package typealias Content = [String: [UInt8]]

  /// What failures name.
  package let name: String
  /// What is written, as errors name it.
  ///
  /// What lies behind it is the writer's own affair; everything else on the disk must stay as it was.
  package let target: String
  /// Puts what is there before, all of which lasts.
  package let prepare: @Sendable (SimulatedFileSystem) throws -> Void
  /// Writes; a second run after a power cut does the same again.
  package let run: @Sendable (SimulatedFileSystem) throws -> Void
  /// Reads what is at the target.
  package let read: @Sendable (SimulatedFileSystem) throws -> Content?
  /// What has to come before reading after a power cut, for writers that leave the old thing to be
  /// put back by the next run.
  package let recover: (@Sendable (SimulatedFileSystem) throws -> Void)?
  /// Whether a run that fails leaves its work, so that the next one goes on with it.
  package let isResumable: Bool

  /// Describes something that is written; by default all bytes at the target are read.
  package init(
    _ name: String,
    target: String,
    isResumable: Bool = false,
    prepare: @escaping @Sendable (SimulatedFileSystem) throws -> Void,
    read: (@Sendable (SimulatedFileSystem) throws -> Content?)? = nil,
    recover: (@Sendable (SimulatedFileSystem) throws -> Void)? = nil,
    run: @escaping @Sendable (SimulatedFileSystem) throws -> Void
  ) {
    self.name = name
    self.target = target
    self.prepare = prepare
    self.run = run
    self.read = read ?? { $0.tree(at: target) }
    self.recover = recover
    self.isResumable = isResumable
  }

  /// A file system with what is there before.
  func prepared() throws -> SimulatedFileSystem {
    let fileSystem = SimulatedFileSystem()
    try prepare(fileSystem)
    fileSystem.settle()
    return fileSystem
  }

  /// The target without `.` and slashes around it.
  var plainTarget: String {
    target.split(separator: "/").filter { $0 != "." }.joined(separator: "/")
  }

  /// All of a disk that is not the target.
  func surroundings(_ fileSystem: SimulatedFileSystem) -> Content {
    let path = plainTarget
    return (fileSystem.tree() ?? [:]).filter { $0.key != path && !$0.key.hasPrefix(path + "/") }
  }
}
