package import KaratBytes
package import KaratCheckpoints
package import KaratTensors
package import KaratTokenizers

/// The files that travel with a model's weights: tokenizer, generation settings, licence.
public struct Companions: Sendable {
  /// Files to copy as they are: the name in a model folder, and where they are now.
  package let files: [(name: String, path: String)]
  /// What a GGUF's metadata say of the tokenizer, word for word; empty for a folder.
  package let tokenizerMetadata: [(key: String, value: GGUFValue)]
  private let vocabulary: (content: GGUFVocabulary, file: String)?

  /// The files of a model folder that do not hold weights and that Karat does not write itself.
  package init(folder: String) throws(CheckpointError) {
    var files: [(name: String, path: String)] = []
    let names = try CheckpointError.onFiles { () throws(FileError) in try Folder.names(in: folder) }
    for name in names.sorted()
    where !name.hasPrefix(".") && !ModelFiles.isWeight(name)
      && !["config.json", ModelRecord.fileName].contains(name)
    {
      let path = Folder.join(folder, name)
      let status = try CheckpointError.onFiles { () throws(FileError) in try FileStatus(of: path) }
      if status.kind == .file { files.append((name, path)) }
    }
    self.files = files
    tokenizerMetadata = []
    vocabulary = nil
  }

  /// What a GGUF's metadata amounts to in a model folder.
  package init(gguf metadata: GGUFMetadata, file: String) {
    files = []
    tokenizerMetadata = metadata.members.filter { $0.key.hasPrefix("tokenizer.") }
    vocabulary = GGUFVocabulary(metadata).map { ($0, file) }
  }

  /// Files to write: the name in a model folder, and the content.
  ///
  /// - Throws: `TokenizerError` where the tokenizer in a GGUF's metadata is not supported.
  package func documents() throws(TokenizerError) -> [(name: String, content: JSONValue)] {
    guard let (vocabulary, file) = vocabulary else { return [] }
    return [
      ("tokenizer.json", try vocabulary.tokenizerDocument(file: file)),
      ("tokenizer_config.json", vocabulary.tokenizerConfiguration()),
    ]
  }

  /// generation_config.json, where there is one.
  package var generationConfig: JSONObject? {
    file("generation_config.json").flatMap { try? ModelFiles.object(in: $0) }
  }

  /// The tokenizer of the model at a path.
  package func tokenizer(of path: String) throws -> Tokenizer {
    if let (vocabulary, file) = vocabulary { return try Tokenizer(vocabulary, file: file) }
    guard let file = file("tokenizer.json") else {
      throw CheckpointError(
        .missing,
        file: path,
        "tokenizer.json is not there, so text cannot become tokens. Put the model's tokenizer.json "
          + "beside its weights."
      )
    }
    let bytes = try CheckpointError.onFiles { () throws(FileError) in
      try ReadableFile.contents(of: file)
    }
    return try Tokenizer(json: bytes, file: file)
  }

  /// Where a file of that name is, or nil where there is none.
  package func file(_ name: String) -> String? { files.first { $0.name == name }?.path }
}
