import Foundation
import KaratBytes
import KaratCheckpoints
import KaratTensors
import Testing

@Suite struct ShardedCheckpointTests {
  private let source = MemorySource([
    "a": Tensor([1, 2]), "b": Tensor([3, 4, 5]), "c": Tensor([6]), "d": Tensor([7, 8, 9, 10]),
    "e": Tensor([]),
  ])

  /// Writes a folder as a whole.
  @discardableResult
  private func writeFolder(
    to path: String,
    metadata: [String: String] = [:],
    shardSize: Int
  ) throws -> [String] {
    let folder = try AtomicFolder(path)
    let files = try SafetensorsWriter(metadata: metadata)
      .write(source, into: folder, shardSize: shardSize)
    try folder.commit()
    return files
  }

  @Test func splitsAndReadsBack() throws {
    try inTemporaryFolder { (parent) throws in
      let folder = "\(parent)/model"
      let files = try writeFolder(to: folder, metadata: ["format": "pt"], shardSize: 12)
      #expect(
        files == [
          "model-00001-of-00004.safetensors", "model-00002-of-00004.safetensors",
          "model-00003-of-00004.safetensors", "model-00004-of-00004.safetensors",
          "model.safetensors.index.json",
        ]
      )
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder).sorted() == files)
      #expect(
        String(decoding: try read("\(folder)/model.safetensors.index.json"), as: UTF8.self) == """
          {
            "metadata": {
              "total_size": 40
            },
            "weight_map": {
              "a": "model-00001-of-00004.safetensors",
              "b": "model-00002-of-00004.safetensors",
              "c": "model-00003-of-00004.safetensors",
              "d": "model-00004-of-00004.safetensors",
              "e": "model-00004-of-00004.safetensors"
            }
          }

          """
      )
      let reader = try Checkpoint.open(path: folder)
      #expect(reader is ShardedCheckpoint)
      #expect(reader.manifest.metadata == ["format": "pt"])
      try expectSameTensors(reader, source)
    }
  }

  @Test func writesOneFileWhereAllFits() throws {
    try inTemporaryFolder { (parent) throws in
      let folder = "\(parent)/model"
      let files = try writeFolder(to: folder, shardSize: 40)
      #expect(files == ["model.safetensors"])
      try expectSameTensors(try Checkpoint.open(path: folder), source)
    }
  }

  @Test func saysWhatDoesNotFitTogether() throws {
    try inTemporaryFolder { (parent) throws in
      let folder = "\(parent)/model"
      try writeFolder(to: folder, shardSize: 24)
      let index = "\(folder)/model.safetensors.index.json"
      let whole = String(decoding: try read(index), as: UTF8.self)
      func refusal(_ text: String) throws -> String? {
        try write(Array(text.utf8), to: index)
        return message(in: folder) { _ = try Checkpoint.open(path: folder) }
      }
      #expect(try refusal(whole) == nil)
      #expect(
        try refusal(whole.replacing("\"b\": \"model-00001", with: "\"b\": \"model-00002"))
          == "model.safetensors.index.json, 'b': it is to be in model-00002-of-00002.safetensors,"
          + " and is not there. Fetch both files again."
      )
      #expect(
        try refusal(whole.replacing("    \"b\": \"model-00001-of-00002.safetensors\",\n", with: ""))
          == "model-00001-of-00002.safetensors, 'b': the index model.safetensors.index.json does not"
          + " say that it is in this file. Fetch both files again."
      )
      #expect(
        try refusal(whole.replacing("00002-of", with: "00003-of"))
          == "model-00003-of-00002.safetensors: the index model.safetensors.index.json names this"
          + " file, and it is not there. Fetch it as well."
      )
      for name in ["../a", "/etc/passwd", "a/b", "..", ".", "", "a\\\\b", "a\\u0000"] {
        let text = "{\"weight_map\": {\"a\": \"\(name)\"}}"
        #expect(
          try refusal(text)?.hasSuffix(
            "for it; the name of a file beside the index was needed, without a folder."
          ) == true
        )
      }
      #expect(
        try refusal("{\"weight_map\": {\"a\": 1}}")
          == "model.safetensors.index.json, 'a': 'weight_map' gives a number for it; a file's name"
          + " was needed."
      )
      #expect(
        try refusal("[]") == "model.safetensors.index.json: it holds no object 'weight_map', which"
          + " says what file each tensor is in."
      )
      #expect(
        try refusal("{") == "model.safetensors.index.json: line 1, column 2: found the end of the"
          + " text, where a key in double quotes was needed."
      )
    }
  }
}
