import Foundation

/// What is done with folders as such.
package enum Folder {
  /// The folder of a path, made where it is not there.
  package static func made(_ path: String) throws(FileError) -> String {
    guard mkdir(path, 0o777) == 0 || errno == EEXIST else {
      throw FileError(errno: errno, path, .create)
    }
    return path
  }

  /// The names of what is in a folder, sorted by their bytes, without `.` and `..`.
  ///
  /// - Throws: `FileError` where it is no folder or cannot be read.
  package static func names(in path: String) throws(FileError) -> [String] {
    try SystemCall.check(path, .list) { () throws(Errno) in
      try RealFileSystem.real.names(in: path)
    }.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
  }

  /// The name behind the last slash of a path.
  package static func lastComponent(of path: String) -> String {
    path.split(separator: "/").last.map(String.init) ?? path
  }

  /// Joins a folder and the name of something in it.
  package static func join(_ path: String, _ name: String) -> String {
    path.hasSuffix("/") ? path + name : path + "/" + name
  }

  /// The folder that holds what a path names.
  package static func containing(_ path: String) -> String { parts(of: path).folder }

  /// A path's folder and the name in it; slashes at the end do not count.
  static func parts(of path: String) -> (folder: String, name: String) {
    var bytes = path.utf8[...]
    while bytes.count > 1, bytes.last == UInt8(ascii: "/") { bytes = bytes.dropLast() }
    guard let slash = bytes.lastIndex(of: UInt8(ascii: "/")) else {
      return (".", String(path[..<bytes.endIndex]))
    }
    let name = String(path[path.utf8.index(after: slash)..<bytes.endIndex])
    return (slash == path.startIndex ? "/" : String(path[..<slash]), name)
  }
}
