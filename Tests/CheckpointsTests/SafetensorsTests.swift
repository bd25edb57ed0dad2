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
