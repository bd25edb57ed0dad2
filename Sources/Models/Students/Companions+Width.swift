import KaratBytes
import KaratTensors

extension Companions {
  /// Says in the files of sentence-transformers how long a student's vectors are.
  ///
  /// - Throws: `CheckpointError` where such a file cannot be read.
  mutating func setVectorLength(_ length: Int) throws(CheckpointError) {
    let key = "word_embedding_dimension"
    for file in files where file.name.hasSuffix("/config.json") {
      var config = try ModelFiles.object(try file.content(), in: file.place)
      guard config[key] != nil else { continue }
      config[key] = .number(JSONNumber(length))
      let bytes = JSONValue.object(config).serialized(indent: 2)
      replace(with: File(name: file.name, place: file.place, bytes: bytes))
    }
  }
}
