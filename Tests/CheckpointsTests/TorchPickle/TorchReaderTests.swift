import Foundation
import KaratBytes
import KaratCheckpoints
import KaratTensors
import KaratTestSupport
import Testing

@Suite struct TorchReaderTests {
  private static let saved = fixture("checkpoints/torch-saved")

  @Test(arguments: [FileAccess.copied, .mapped])
  func readsWhatPyTorchSaved(_ access: FileAccess) throws {
    let source = try TorchReader(Self.saved + ".bin", access: access)
    let expected = try SafetensorsReader(Self.saved + ".safetensors")
    try expectSameTensors(source, expected)
    #expect(source.manifest.count == 38)
    #expect(source.others.isEmpty)
    for name in source.manifest.names {
      let whole = try source.tensor(name)
      let block = whole.dtype.block.elements
      let count = whole.shape.elementCount
      for start in stride(from: 0, through: count, by: block) {
        for end in stride(from: start, through: count, by: block) {
          let run = try source.elements(start..<end, of: name)
          #expect(run.isIdentical(to: whole.elements(start..<end)), "\(name) \(start)..<\(end)")
        }
      }
    }
  }

  @Test func everyHostileFileHasAVerdictAndAName() throws {
    let folder = fixture("hostile/pytorch")
    let expected = try JSONValue.parse(try read(folder + "/expected.json"))
    let members = try #require(expected.object?.members)
    let files = try Folder.names(in: folder).filter { $0 != "expected.json" }
    #expect(files == members.map(\.key))
    for (file, verdict) in members {
      #expect(verdict.isNull == file.hasSuffix("-ok.bin"), "\(file)")
    }
  }

  @Test func saysWhichTensorIsMissing() throws {
    let source = try TorchReader(Self.saved + ".bin")
    #expect(
      message(in: fixture("checkpoints")) { _ = try source.tensor("none") }
        == "torch-saved.bin, 'none': there is no tensor of that name."
    )
    #expect(
      message(in: fixture("checkpoints")) { _ = try source.elements(0..<1, of: "none") }
        == "torch-saved.bin, 'none': there is no tensor of that name."
    )
  }

  @Test func namesTensorsByTheirPaths() throws {
    func names(_ file: String) throws -> ([String], others: [String]) {
      let source = try TorchReader(fixture("hostile/pytorch/\(file).bin"))
      return (source.manifest.names.map(\.text), source.others.map(\.text))
    }
    #expect(try names("T02-nested-ok") == (["a.b", "a.c.0", "a.c.1.0"], others: []))
    #expect(try names("T02-empty-names-ok") == (["", "a."], others: []))
    #expect(try names("P08-int-ok") == (["7"], others: []))
    #expect(try names("P08-canonical-equals-ok").0.map(\.utf8.count) == [2, 3])
    #expect(try names("T03-state_dict-ok") == (["t"], others: ["epoch"]))
    #expect(try names("T03-model-and-optimizer-ok") == (["t"], others: ["optimizer"]))
    #expect(try names("T03-tensor-beside-model-ok") == (["model.t", "u"], others: []))
    #expect(try names("T03-model-without-tensors-ok") == (["head.t"], others: ["model"]))
    #expect(try names("P11-bytes-ok") == (["t"], others: ["x"]))
    #expect(try names("T04-shared-tensor-ok") == (["a", "b"], others: []))
  }

  /// Windows, runs and odd orders against one element at a time.
  @Test func gathersElementsThatLieInAnyOrder() throws {
    var numbers = Numbers(seed: 7)
    let storage = (0..<400_000).map { Float($0) }
    var layouts = [
      TorchFile.Layout(sizes: [600, 600], strides: [1, 600], offset: 3),
      TorchFile.Layout(sizes: [40, 50, 60], strides: [1, 2400, 40], offset: 0),
      TorchFile.Layout(sizes: [3, 130_000], strides: [130_000, 1], offset: 1),
      TorchFile.Layout(sizes: [5, 79_999], strides: [1, 5], offset: 4),
      TorchFile.Layout(sizes: [9, 7, 11], strides: [0, 57_000, 0], offset: 9),
      TorchFile.Layout(sizes: [100], strides: [3999], offset: 0),
      TorchFile.Layout(sizes: [1, 2, 1, 70_000], strides: [9, 70_001, 5, 2], offset: 0),
      TorchFile.Layout(sizes: [4, 0, 3], strides: [1, 1, 1], offset: 0),
      TorchFile.Layout(sizes: [], strides: [], offset: 399_999),
    ]
    for _ in 0..<40 {
      let rank = Int.random(in: 1...4, using: &numbers)
      let sizes = (0..<rank).map { _ in Int.random(in: 1...12, using: &numbers) }
      let strides = (0..<rank).map { _ in Int.random(in: 0...8_000, using: &numbers) }
      layouts.append(TorchFile.Layout(sizes: sizes, strides: strides, offset: rank))
    }
    let bytes = TorchFile.bytes(layouts, of: storage)
    let source = try TorchReader(CheckpointFile(bytes, named: "m.bin"))
    for (number, layout) in layouts.enumerated() {
      let name = TensorName("\(number)")
      let expected = Self.elements(of: layout).map { storage[$0] }
      let tensor = try source.tensor(name)
      #expect(tensor.shape == Shape(layout.sizes))
      #expect(tensor.elements(as: Float.self) == expected, "\(layout)")
      for _ in 0..<8 {
        let start = Int.random(in: 0...expected.count, using: &numbers)
        let end = Int.random(in: start...expected.count, using: &numbers)
        let run = try source.elements(start..<end, of: name)
        #expect(run.shape == [end - start])
        #expect(run.elements(as: Float.self) == Array(expected[start..<end]), "\(layout)")
      }
    }
  }

  /// The storage's index of each element, counted up dimension by dimension.
  private static func elements(of layout: TorchFile.Layout) -> [Int] {
    var indices = [layout.offset]
    for (size, stride) in zip(layout.sizes, layout.strides) {
      indices = indices.flatMap { start in (0..<size).map { start + $0 * stride } }
    }
    return indices
  }

  @Test func opensShardsByTheirIndex() throws {
    let origin = fixture("checkpoints/torch-sharded")
    let source = try Checkpoint.open(path: origin)
    #expect(source is ShardedCheckpoint)
    #expect(try Checkpoint.format(of: origin).name == "pytorch")
    #expect(source.manifest.names == ["float32", "rows", "transposed", "tied"])
    let whole = try TorchReader(Self.saved + ".bin")
    for name in source.manifest.names {
      #expect(try source.tensor(name).isIdentical(to: whole.tensor(name)))
      let run = try source.elements(2..<7, of: name)
      #expect(try run.isIdentical(to: whole.elements(2..<7, of: name)))
    }
    #expect(
      try Checkpoint.files(of: origin).map { $0.replacing(origin + "/", with: "") } == [
        "pytorch_model.bin.index.json", "pytorch_model-00001-of-00002.bin",
        "pytorch_model-00002-of-00002.bin",
      ]
    )
    try KaratTestSupport.inTemporaryFolder { folder in
      let copy = folder + "/m"
      try FileManager.default.copyItem(atPath: origin, toPath: copy)
      try FileManager.default.removeItem(atPath: copy + "/pytorch_model-00002-of-00002.bin")
      #expect(
        message(in: copy) { _ = try Checkpoint.open(path: copy) }
          == "pytorch_model-00002-of-00002.bin: the index \(copy)/pytorch_model.bin.index.json"
          .replacing(copy + "/", with: "")
          + " names this file, and it is not there. Fetch it as well."
      )
      // What the index names must be PyTorch files, whatever else could be read there.
      try FileManager.default.copyItem(
        atPath: Self.saved + ".safetensors",
        toPath: copy + "/pytorch_model-00002-of-00002.bin"
      )
      #expect(
        message(in: copy) { _ = try Checkpoint.open(path: copy) }
          == "pytorch_model-00002-of-00002.bin: it does not end with the end record of a zip archive."
          + " It was cut off, or something stands behind it; fetch it again."
      )
    }
  }

  /// What PyTorch writes where offsets and sizes need more than 32 bits; the zeros are not stored.
  @Test func readsArchivesBeyondFourGibibytes() throws {
    let pieces = try read(fixture("checkpoints/torch-beyond-4GiB.pieces"))
    let (start, holeByteCount) = (768, 1 << 32)
    try KaratTestSupport.inTemporaryFolder { folder in
      let path = folder + "/model.bin"
      #expect(FileManager.default.createFile(atPath: path, contents: Data(pieces[..<start])))
      let file = try #require(FileHandle(forUpdatingAtPath: path))
      try file.seek(toOffset: UInt64(start + holeByteCount))
      try file.write(contentsOf: Data(pieces[start...]))
      try file.close()
      let source = try TorchReader(path)
      #expect(source.manifest["zeros"] == TensorInfo(.f32, [1 << 30]))
      #expect(try source.tensor("behind").elements(as: Float.self) == [0, 1, 2])
      #expect(source.manifest["empty"] == TensorInfo(.f32, [0]))
      guard ProcessInfo.processInfo.environment["KARAT_LONG"] != nil else { return }
      let last = try source.elements((1 << 30) - 1..<1 << 30, of: "zeros")
      #expect(last.elements(as: Float.self) == [0])
    }
  }
}
