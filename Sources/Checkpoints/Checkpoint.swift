import KaratBytes
public import KaratTensors

/// Opens checkpoints of every known format.
public enum Checkpoint {
  /// Opens a checkpoint file or a model folder.
  ///
  /// A file's format is told by its first bytes, whatever its name. In a folder, the tensors are
  /// those of `model.safetensors.index.json`, else of `model.safetensors`, else of
  /// `pytorch_model.bin.index.json`, else of `pytorch_model.bin`, else of the only file whose name
  /// ends as those of a known format do.
  ///
  /// - Parameters:
  ///   - path: a file or a folder.
  ///   - access: whether tensors are copied out of the files or lie in mapped memory.
  /// - Returns: the tensors under the file's own names.
  /// - Throws: `CheckpointError` where there is no checkpoint, or it breaks a rule of its format.
  public static func open(
    path: String,
    access: FileAccess = .copied
  ) throws(CheckpointError) -> any TensorSource {
    switch try content(of: path) {
    case .file(let file): try openFile(file, access: access)
    case .shards(let index, let format):
      try ShardedCheckpoint(index: index, format: format, access: access)
    }
  }

  /// The files that are read when a checkpoint is opened.
  ///
  /// - Throws: `CheckpointError` where there is no checkpoint, or its index breaks a rule.
  package static func files(of path: String) throws(CheckpointError) -> [String] {
    switch try content(of: path) {
    case .file(let file): return [file]
    case .shards(let index, _):
      return [index] + (try ShardIndex(index).shards.map { Folder.join(path, $0) })
    }
  }

  /// What a checkpoint consists of.
  private enum Content {
    case file(String)
    case shards(index: String, CheckpointFormat)
  }

  private static func content(of path: String) throws(CheckpointError) -> Content {
    let status = try CheckpointError.onFiles { () throws(FileError) in try FileStatus(of: path) }
    guard status.kind == .folder else { return .file(path) }
    let names = try CheckpointError.onFiles { () throws(FileError) in try Folder.names(in: path) }
    for format in CheckpointFormat.all {
      if let index = format.indexName, names.contains(index) {
        return .shards(index: Folder.join(path, index), format)
      }
      if let model = format.modelName, names.contains(model) {
        return .file(Folder.join(path, model))
      }
    }
    return .file(Folder.join(path, try onlyFile(of: names, in: path)))
  }

  /// Tells the format of a file by its first bytes, or of what is opened in a folder.
  ///
  /// - Throws: `CheckpointError` where it cannot be read or is of no known format.
  public static func format(of path: String) throws(CheckpointError) -> CheckpointFormat {
    switch try content(of: path) {
    case .file(let file): try format(ofFile: file)
    case .shards(_, let format): format
    }
  }

  private static func format(ofFile path: String) throws(CheckpointError) -> CheckpointFormat {
    let start = try CheckpointError.onFiles { () throws(FileError) in
      let file = try ReadableFile(path)
      return try file.bytes(0..<min(file.byteCount, CheckpointFormat.startByteCount))
    }
    guard let format = CheckpointFormat.all.first(where: { $0.recognizes(start) }) else {
      let known = CheckpointFormat.all.map(\.name).joined(separator: ", ")
      let found =
        start.isEmpty
        ? "it is empty"
        : "it starts with the bytes "
          + start.prefix(8).map { String($0, radix: 16) }.joined(separator: " ")
      throw CheckpointError(
        .malformed,
        file: path,
        "\(found); no known format does. Known are: \(known)."
      )
    }
    return format
  }

  private static func openFile(
    _ path: String,
    access: FileAccess
  ) throws(CheckpointError) -> any TensorSource {
    try format(ofFile: path).open(path, access)
  }

  private static func onlyFile(
    of names: [String],
    in folder: String
  ) throws(CheckpointError) -> String {
    let endings = CheckpointFormat.all.flatMap(\.fileExtensions).map { "." + $0 }
    let candidates = names.filter { name in
      !name.hasPrefix(".") && endings.contains { name.hasSuffix($0) }
    }
    guard let only = candidates.first, candidates.count == 1 else {
      throw CheckpointError(
        .missing,
        file: folder,
        candidates.isEmpty
          ? "this folder holds no file that ends in \(endings.dropLast().joined(separator: ", "))"
            + " or \(endings.last ?? "")."
          : "this folder holds \(candidates.count) checkpoints and no"
            + " model.safetensors.index.json. Name one of them: "
            + candidates.prefix(5).joined(separator: ", ") + "."
      )
    }
    return only
  }
}
