import Foundation
import KaratBytes
import KaratCheckpoints
import KaratTensors
import Testing

@Suite struct SafetensorsTests {
  /// One tensor of every dtype, with every byte value somewhere.
  private func everyType(scale: Int = 1) -> MemorySource {
    var tensors: [TensorName: Tensor] = [:]
    for dtype in DType.allCases where !dtype.isQuantizedBlock {
      for (label, shape) in [("", [3, 4 * scale]), ("empty.", [0, 4]), ("é\n\".", [1, 4])] {
        tensors[TensorName("\(label)\(dtype.rawValue)")] = Tensor(dtype, Shape(shape)) { bytes in
          for index in bytes.indices { bytes[index] = UInt8(truncatingIfNeeded: index &* 37) }
        }
      }
    }
    tensors["scalar"] = Tensor([1.5], shape: [])
    return MemorySource(tensors, metadata: ["format": "pt", "b": "\u{1}", "a": "ä"])
  }

  @Test(arguments: [FileAccess.copied, .mapped])
  func readsWhatItWrote(access: FileAccess) throws {
    try inTemporaryFolder { (folder) throws in
      let source = everyType()
      let path = "\(folder)/a.safetensors"
      try SafetensorsWriter(metadata: source.manifest.metadata).write(source, to: path)
      let reader = try SafetensorsReader(path, access: access)
      try expectSameTensors(reader, source)
      #expect(reader.manifest.metadata == source.manifest.metadata)
      #expect(try read(path).count % 8 == source.manifest.totalBytes % 8)
    }
  }

  @Test func writesTheBytesOfTheReference() throws {
    try inTemporaryFolder { (folder) throws in
      let reference = fixture("checkpoints/reference-writer.safetensors")
      let reader = try SafetensorsReader(reference)
      #expect(reader.manifest.count == 76)
      let path = "\(folder)/a.safetensors"
      try SafetensorsWriter(metadata: reader.manifest.metadata).write(reader, to: path)
      #expect(try read(path) == read(reference))
    }
  }

  @Test func givesTheSameBytesForTheSameContent() throws {
    try inTemporaryFolder { (folder) throws in
      let paths = ["a", "b", "c"].map { "\(folder)/\($0).safetensors" }
      let source = everyType()
      let metadata = source.manifest.metadata
      try SafetensorsWriter(metadata: metadata).write(source, to: paths[0])
      // Of the same tensors in another order, and of the file itself.
      let reversed = OrderedSource(base: source, names: source.manifest.names.reversed())
      let others = Dictionary(uniqueKeysWithValues: metadata.sorted { $0.key > $1.key })
      try SafetensorsWriter(metadata: others).write(reversed, to: paths[1])
      try SafetensorsWriter(metadata: metadata).write(try SafetensorsReader(paths[1]), to: paths[2])
      #expect(try read(paths[0]) == read(paths[1]))
      #expect(try read(paths[0]) == read(paths[2]))
    }
  }

  @Test func allowsAHeaderOfAHundredMillionBytes() throws {
    let text = "{}" + String(repeating: " ", count: 99_999_998)
    func open(_ text: String) throws -> Int {
      try SafetensorsReader(CheckpointFile(safetensors(text), named: "a")).manifest.count
    }
    #expect(try open(text) == 0)
    #expect(
      message(in: "") { _ = try open(text + " ") }
        == "a: its first 8 bytes tell of a header of 100000001 bytes; at most 100000000 are"
        + " allowed. It is no safetensors file, or damaged."
    )
    let long = String(repeating: "n", count: 1 << 20)
    var tensors: [TensorName: Tensor] = [:]
    for number in 100..<200 { tensors[TensorName("\(number)\(long)")] = Tensor([1]) }
    try inTemporaryFolder { (folder) throws in
      #expect(
        message(in: folder) {
          try SafetensorsWriter().write(MemorySource(tensors), to: "\(folder)/a.safetensors")
        } == "a.safetensors: 100 tensors need a header of 104863448 bytes; at most 100000000 are"
          + " allowed. Write several shards."
      )
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == [])
    }
  }

  @Test func opensAMillionTensors() throws {
    var text = "{"
    for number in 0..<1_000_000 {
      text += number == 0 ? "" : ","
      text +=
        #""layer.\#(number)":{"dtype":"U8","shape":[1],"data_offsets":[\#(number),\#(number + 1)]}"#
    }
    let bytes = safetensors(text + "}", [UInt8](repeating: 7, count: 1_000_000))
    let reader = try SafetensorsReader(CheckpointFile(bytes, named: "a"))
    #expect(reader.manifest.count == 1_000_000)
    #expect(reader.manifest["layer.999999"] == TensorInfo(.u8, [1]))
    #expect(reader.manifest["layer.1000000"] == nil)
    #expect(try reader.tensor("layer.500000").elements(as: UInt8.self) == [7])
  }

  @Test func lendsMappedTensorsAlignedForTheirType() throws {
    // The second tensor of this file starts at an odd offset.
    let reader = try SafetensorsReader(
      fixture("hostile/safetensors/S33-not-aligned-ok.safetensors"),
      access: .mapped
    )
    #expect(try reader.tensor("b").elements(as: UInt32.self) == [0x0403_0201])
  }

  @Test func refusesWhatTheFormatCannotHold() throws {
    try inTemporaryFolder { (folder) throws in
      let path = "\(folder)/a.safetensors"
      func refusal(_ name: TensorName, _ tensor: Tensor) -> String? {
        message(in: folder) {
          try SafetensorsWriter().write(MemorySource([name: tensor]), to: path)
        }
      }
      #expect(
        refusal("a", Tensor(.q8_0, [32]) { _ in })
          == "a.safetensors, 'a': Q8_0 blocks have no place in safetensors. Dequantize them first."
      )
      for name: TensorName in ["__metadata__", "a\0"] {
        #expect(
          refusal(name, Tensor([1])) == "a.safetensors, \(name.quoted): safetensors cannot hold a"
            + " tensor of this name. Rename it first."
        )
      }
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == [])
    }
  }

  @Test func replacesOnlyWhereToldTo() throws {
    try inTemporaryFolder { (folder) throws in
      let path = "\(folder)/a.safetensors"
      try write([1, 2, 3], to: path)
      let source = MemorySource(["a": Tensor([1, 2])])
      #expect(
        message(in: folder) { try SafetensorsWriter().write(source, to: path) }
          == "a.safetensors: it exists already. Choose another name, or say that it is to be"
          + " replaced."
      )
      #expect(try read(path) == [1, 2, 3])
      try SafetensorsWriter(replacing: true).write(source, to: path)
      try expectSameTensors(SafetensorsReader(path), source)
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["a.safetensors"])
    }
  }

  @Test func leavesNothingWhereATensorCannotBeHad() throws {
    try inTemporaryFolder { (folder) throws in
      let broken = MemorySource(["a": Tensor([1])]).overlaid(with: [
        "b": DerivedTensor(TensorInfo(.f32, [4])) { () throws(CheckpointError) in
          throw .missing("b", in: "nowhere")
        }
      ])
      #expect(
        message(in: folder) { try SafetensorsWriter().write(broken, to: "\(folder)/a.safetensors") }
          == "nowhere, 'b': there is no tensor of that name."
      )
      let lying = MemorySource(["a": Tensor([1])]).overlaid(with: [
        "a": DerivedTensor(TensorInfo(.f32, [4])) { () throws(CheckpointError) in Tensor([1, 2]) }
      ])
      #expect(
        message(in: folder) { try SafetensorsWriter().write(lying, to: "\(folder)/a.safetensors") }
          == "'a': what came is 2 elements of F32; 4 of F32 were promised."
      )
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == [])
    }
  }
}

/// The same tensors in another order.
private struct OrderedSource: TensorSource {
  let base: MemorySource
  let manifest: Manifest

  init(base: MemorySource, names: [TensorName]) {
    var manifest = Manifest(metadata: base.manifest.metadata)
    for name in names { manifest.set(name, base.manifest[name] ?? TensorInfo(.u8, [])) }
    self.base = base
    self.manifest = manifest
  }

  func tensor(_ name: TensorName) throws(CheckpointError) -> Tensor { try base.tensor(name) }
}
