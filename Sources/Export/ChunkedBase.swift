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
  /// - Throws: `CheckpointError` where it is no checkpoint or breaks a rule of its format, or where the
  ///   output would replace it, or a base behind it.
  public init(at path: String, from output: String) throws(CheckpointError) {
    let folder = Folder.containing(output)
    let source = try Checkpoint.open(path: path)
    try Self.check(source, at: path, staysBeside: output)
    self.init(source, at: Self.relativePath(of: path, from: folder))
  }

  /// Refuses an output that would take the place of what it is to be a difference from.
  private static func check(
    _ base: any TensorSource,
    at path: String,
    staysBeside output: String
  ) throws(CheckpointError) {
    var (source, path) = (base, path)
    while true {
      let isSame = try CheckpointError.onFiles { () throws(FileError) in
        guard FileStatus.isThere(output), FileStatus.isThere(path) else { return false }
        return try FileStatus(of: output).identity == FileStatus(of: path).identity
      }
      guard !isSame else {
        throw CheckpointError(
          .exists,
          file: output,
          "its differences would be from \(path), which it is itself, and which would be gone. Name "
            + "another output."
        )
      }
      guard let behind = (source as? ChunkedReader)?.base else { return }
      path = Folder.join(Folder.containing(path), behind.path)
      source = try Checkpoint.open(path: path)
    }
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
