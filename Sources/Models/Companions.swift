package import KaratBytes
package import KaratCheckpoints
package import KaratTensors
package import KaratTokenizers

/// The files that travel with a model's weights: tokenizer, generation settings, licence.
public struct Companions: Sendable {
  /// A file that travels along.
  package struct File: Sendable {
    /// Its path in a model folder, with `/` between its parts.
    package let name: String
    /// Where it is now, for messages.
    package let place: String
    /// Reads its content.
    package let content: @Sendable () throws(CheckpointError) -> [UInt8]

    /// What may travel along is read as a whole; weights never are.
    private static let largestByteCount = 1 << 30

    /// A file whose content is known.
    package init(name: String, place: String, bytes: [UInt8]) {
      self.name = name
      self.place = place
      content = { () throws(CheckpointError) in bytes }
    }

    /// A file of the disk.
    package init(name: String, at path: String) {
      self.name = name
      place = path
      content = { () throws(CheckpointError) in
        try CheckpointError.onFiles { () throws(FileError) in
          try ReadableFile.contents(of: path, limit: Self.largestByteCount)
        }
      }
    }

    /// A file that is attached to a KCF.
    package init(name: String, attachedTo file: ChunkedReader, path: String) {
      self.name = name
      place = "\(path), \(name)"
      content = { () throws(CheckpointError) in try file.attachment(name) }
    }
  }

  /// The files, which are copied as they are.
  package private(set) var files: [File]
  /// What a GGUF's metadata say of the tokenizer, word for word; empty for a folder.
  package let tokenizerMetadata: [(key: String, value: GGUFValue)]
  private let vocabulary: (content: GGUFVocabulary, file: String)?

  /// The files of a model folder, those in its folders included, that do not hold weights and that
  /// Karat does not write itself.
  package init(folder: String) throws(CheckpointError) {
    files = []
    tokenizerMetadata = []
    vocabulary = nil
    try gather(folder, under: "", depth: 0)
    files.sort { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
  }

  private mutating func gather(
    _ folder: String,
    under prefix: String,
    depth: Int
  ) throws(CheckpointError) {
    let names = try CheckpointError.onFiles { () throws(FileError) in try Folder.names(in: folder) }
    for name in names
    where !name.hasPrefix(".") && !ModelFiles.isWeight(name)
      && !(depth == 0 && [ModelFiles.configName, ModelRecord.fileName].contains(name))
    {
      let path = Folder.join(folder, name)
      let status = try CheckpointError.onFiles { () throws(FileError) in try FileStatus(of: path) }
      switch status.kind {
      case .file: add(File(name: prefix + name, at: path))
      // Links may lead in circles; model folders are shallow.
      case .folder where depth < 3:
        try gather(path, under: prefix + name + "/", depth: depth + 1)
      case .folder, .other: break
      }
    }
  }

  /// What a GGUF's metadata amounts to in a model folder.
  package init(gguf metadata: GGUFMetadata, file: String) {
    files = []
    tokenizerMetadata = metadata.members.filter { $0.key.hasPrefix("tokenizer.") }
    vocabulary = GGUFVocabulary(metadata).map { ($0, file) }
  }

  /// The files that are attached to a KCF.
  package init(attachedTo file: ChunkedReader, path: String) {
    files = file.attachments.map(\.name)
      .filter { ![ModelFiles.configName, ModelRecord.fileName].contains($0) }
      .map { name in
        File(name: name, attachedTo: file, path: path)
      }
    tokenizerMetadata = []
    vocabulary = nil
  }

  /// Puts another file in the place of the one of its name.
  package mutating func replace(with file: File) {
    files = files.map { $0.name == file.name ? file : $0 }
  }

  /// Adds a file.
  package mutating func add(_ file: File) { files.append(file) }

  /// Files to write: the name in a model folder, and the content.
  ///
  /// - Throws: `TokenizerError` where the tokenizer in a GGUF's metadata is not supported.
  package func documents() throws(TokenizerError) -> [(name: String, content: JSONValue)] {
    guard let (vocabulary, file) = vocabulary else { return [] }
    return [
      (Self.tokenizerName, try vocabulary.tokenizerDocument(file: file)),
      ("tokenizer_config.json", vocabulary.tokenizerConfiguration()),
    ]
  }

  /// generation_config.json, where there is one.
  package var generationConfig: JSONObject? {
    guard let file = file("generation_config.json"), let bytes = try? file.content() else {
      return nil
    }
    return try? ModelFiles.object(bytes, in: file.place)
  }

  package static let tokenizerName = "tokenizer.json"

  /// The tokenizer of the model at a path.
  package func tokenizer(of path: String) throws -> Tokenizer {
    if let (vocabulary, file) = vocabulary { return try Tokenizer(vocabulary, file: file) }
    guard let file = file(Self.tokenizerName) else {
      throw CheckpointError(
        .missing,
        file: path,
        "tokenizer.json is not there, so text cannot become tokens. Put the model's tokenizer.json "
          + "beside its weights."
      )
    }
    let (settings, place) = try tokenizerSettings(of: path)
    return try Tokenizer(json: try file.content(), file: file.place)
      .adding(settings, file: place)
  }

  /// What tokenizer_config.json says, or would say of a GGUF's metadata, and its place for messages;
  /// empty where there is none.
  package func tokenizerSettings(
    of path: String
  ) throws(CheckpointError) -> (settings: JSONObject, place: String) {
    if let (vocabulary, file) = vocabulary {
      return (vocabulary.tokenizerConfiguration().object ?? [:], file)
    }
    guard let file = file("tokenizer_config.json") else { return ([:], path) }
    return (try ModelFiles.object(try file.content(), in: file.place), file.place)
  }

  /// The chat template, in a file of its own or among the settings; of several, the default.
  package func chatTemplate(_ settings: JSONObject) throws(CheckpointError) -> String? {
    if let file = file("chat_template.jinja") {
      return String(decoding: try file.content(), as: UTF8.self)
    }
    let template = settings["chat_template"]
    return template?.string
      ?? template?.array?.first { $0["name"] == "default" }?["template"]?.string
  }

  /// The file of that name, or nil where there is none.
  package func file(_ name: String) -> File? { files.first { $0.name == name } }
}
