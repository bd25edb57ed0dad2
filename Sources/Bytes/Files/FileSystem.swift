/// The calls to an operating system that writing takes, each made once and answered as the system
/// answers.
///
/// Everything above them, from the loop that goes on after a short write to the renaming of a whole
/// folder, is one piece of code, `extension FileSystem` and `WritableFile`. Tests run that very code
/// on a simulated system that fails any call and loses power at any moment.
package protocol FileSystem: Sendable {
  /// Opens a file or folder, and gives its descriptor.
  func open(_ path: String, for purpose: OpenPurpose) throws(Errno) -> Int32
  /// Closes a descriptor; it is gone even where this throws.
  func close(_ descriptor: Int32) throws(Errno)
  /// Gives a second descriptor of the same open file, which keeps its lock when the first is closed.
  func duplicate(_ descriptor: Int32) throws(Errno) -> Int32
  /// Reads some of the bytes from an offset on, at least one where the file has any there.
  func read(
    _ descriptor: Int32,
    into buffer: UnsafeMutableRawBufferPointer,
    at offset: Int
  ) throws(Errno) -> Int
  /// Writes some of the bytes at an offset, at least one.
  func write(
    _ descriptor: Int32,
    _ bytes: UnsafeRawBufferPointer,
    at offset: Int
  ) throws(Errno) -> Int
  /// Cuts a file off, or makes it longer by zeros.
  func truncate(_ descriptor: Int32, to byteCount: Int) throws(Errno)
  /// Makes a file's bytes, or a folder's names, last through a power cut.
  func flush(_ descriptor: Int32) throws(Errno)
  /// Asks the system to begin writing a range to the disk, so that a later `flush` waits less.
  func startFlush(_ descriptor: Int32, _ range: Range<Int>)
  /// Takes the lock that one open file can have at a time, or throws `EWOULDBLOCK`.
  ///
  /// It is free again when the last descriptor of that open file is closed, however its process
  /// ends.
  func lock(_ descriptor: Int32) throws(Errno)
  /// Looks at an open file or folder.
  func status(_ descriptor: Int32) throws(Errno) -> FileStatus
  /// Looks at what a path names; at a symbolic link itself unless it is followed.
  func status(of path: String, followingLink: Bool) throws(Errno) -> FileStatus
  /// Makes a folder; throws `EEXIST` where the path names anything.
  func makeFolder(_ path: String) throws(Errno)
  /// Gives a file or folder another path, in one step.
  func rename(_ path: String, to target: String, _ manner: RenameManner) throws(Errno)
  /// Gives a file a second path; throws `EEXIST` where that names anything.
  func link(_ path: String, to target: String) throws(Errno)
  /// Removes a file or a symbolic link; throws `EISDIR` or `EPERM` where it is a folder.
  func removeFile(_ path: String) throws(Errno)
  /// Removes an empty folder.
  func removeFolder(_ path: String) throws(Errno)
  /// The names in a folder in any order, without `.` and `..`.
  func names(in path: String) throws(Errno) -> [String]
  /// How many bytes a folder's disk has left for this user, or nil where it does not know.
  func freeBytes(in path: String) throws(Errno) -> Int?
}

extension FileSystem {
  package func startFlush(_ descriptor: Int32, _ range: Range<Int>) {}
}

/// What a file or folder is opened for.
package enum OpenPurpose: Sendable, Hashable {
  /// To make a file, read and write it; throws `EEXIST` where the path names anything.
  case creating
  /// To read and write a file that is there.
  case updating
  /// To flush or lock a folder.
  case folder
}

/// What `rename` does with what the new path names already.
package enum RenameManner: Sendable, Hashable {
  /// Replaces a file, or an empty folder.
  case replacing
  /// Throws `EEXIST`; `EINVAL`, `ENOSYS` or `ENOTSUP` where the file system cannot.
  case exclusive
  /// Both must be there and change places; throws as `exclusive` does where the file system cannot.
  case exchanging
}

/// An error number of the operating system.
package struct Errno: Error, Hashable, Sendable {
  package let code: Int32

  package init(_ code: Int32) {
    self.code = code
  }
}
