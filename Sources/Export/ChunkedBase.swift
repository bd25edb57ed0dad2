import Foundation
import KaratBytes
public import KaratCheckpoints
public import KaratTensors

extension ChunkedWriter.Base {
  /// Opens a checkpoint that a KCF is to store differences from.
  ///
  /// - Parameters:
  ///   - path: the checkpoint; the KCF names it by its place relative to its own.
  ///   - output: where the KCF goes.
  /// - Throws: `CheckpointError` where it is no checkpoint or breaks a rule of its format.
  public init(at path: String, from output: String) throws(CheckpointError) {
    let folder = Folder.containing(output)
    self.init(try Checkpoint.open(path: path), at: Self.relativePath(of: path, from: folder))
  }

  /// The way from a folder to a file or another folder.
  private static func relativePath(of path: String, from folder: String) -> String {
    let target = URL(filePath: path).standardizedFileURL.pathComponents
    let start = URL(filePath: folder).standardizedFileURL.pathComponents
    let shared = zip(target, start).prefix { $0 == $1 }.count
    let up = Array(repeating: "..", count: start.count - shared)
    return (up + target.dropFirst(shared)).joined(separator: "/")
  }
}
