import Foundation
import Karat
import KaratTestSupport
import Testing

extension Command {
  /// One model through every form that can be written.
  @Suite struct Forms {
    private func root(_ path: String, in place: Workplace) throws -> String? {
      let outcome = try place.karat("inspect", path, "--json")
      return try JSONValue.parse(Array(outcome.output.utf8))["root"]?.string
    }

    @Test func aKCFIsTheWholeModelAndHasTheSameRoot() throws {
      try inWorkplace { place in
        let folder = fixture("alice")
        #expect(try place.karat("convert", folder, "a.kcf").status == 0)
        #expect(try place.karat("convert", "a.kcf", "back").status == 0)
        #expect(try place.karat("convert", "a.kcf", "back.safetensors").status == 0)
        let root = try #require(try root(folder, in: place))
        for form in ["a.kcf", "back", "back.safetensors"] {
          #expect(try self.root(form, in: place) == root, "\(form)")
        }
        for name in ["config.json", "tokenizer.json", "LICENSE", "model.safetensors"] {
          let original = try Data(contentsOf: URL(filePath: folder + "/" + name))
          #expect(try place.read("back/" + name) == Array(original), "\(name)")
        }
        let weights = try Data(contentsOf: URL(filePath: folder + "/model.safetensors"))
        #expect(try place.read("back.safetensors") == Array(weights))
        let said = try place.karat("generate", "a.kcf", "--prompt", "Once", "--max-tokens", "5")
        let expected = try place.karat("generate", folder, "--prompt", "Once", "--max-tokens", "5")
        #expect(said.status == 0 && said.output == expected.output)
      }
    }

    @Test func onlyDifferencesAreStoredWithABase() throws {
      try inWorkplace { place in
        let folder = fixture("llama-tiny")
        #expect(try place.karat("convert", folder, "a.kcf").status == 0)
        #expect(try place.karat("convert", folder, "b.kcf", "--base", "a.kcf").status == 0)
        #expect(try place.read("b.kcf").count < place.read("a.kcf").count / 4)
        #expect(try place.karat("convert", "b.kcf", "b.safetensors").status == 0)
        try FileManager.default.removeItem(atPath: place.path("a.kcf"))
        let alone = try place.karat("convert", "b.kcf", "c.safetensors")
        #expect(alone.status == 66 && alone.message.contains("a.kcf"))
        #expect(try place.karat("convert", folder, "out", "--base", "b.kcf").status == 64)
      }
    }

    @Test func aGGUFIsWrittenInTheTypeThatIsAskedFor() throws {
      try inWorkplace { place in
        let folder = fixture("llama3-rope-tiny")
        for (type, expected) in [("f32", "F32"), ("bf16", "BF16"), ("q8_0", "Q8_0")] {
          #expect(try place.karat("convert", folder, "\(type).gguf", "--dtype", type).status == 0)
          let source = try Checkpoint.open(path: place.path("\(type).gguf"))
          #expect(source.manifest["token_embd.weight"]?.dtype.rawValue == expected)
          #expect(source.manifest["output_norm.weight"]?.dtype == .f32)
        }
        let wrong = try place.karat("convert", folder, "out", "--dtype", "q8_0")
        #expect(wrong.status == 64 && wrong.errors.contains("Name it *.gguf"))
      }
    }

    @Test func codesTravelAsTheyAre() throws {
      try inWorkplace { place in
        let alice = fixture("alice")
        let int8 = ["--preset", "int8-weights"]
        #expect(try place.run(["quantize", alice, "folder"] + int8).status == 0)
        #expect(try place.run(["quantize", alice, "one.kcf"] + int8).status == 0)
        #expect(try root("folder", in: place) == root("one.kcf", in: place))
        #expect(try place.run(["quantize", alice, "one.safetensors"] + int8).status == 64)
        #expect(try place.karat("convert", "one.kcf", "one.gguf").status == 0)
        let codes = try Checkpoint.open(path: place.path("folder"))
          .tensor("model.layers.0.mlp.up_proj.weight").elements(as: Int8.self)
        let blocks = try Checkpoint.open(path: place.path("one.gguf"))
          .tensor("blk.0.ffn_up.weight")
        #expect(blocks.dtype == .q8_0)
        // 2 bytes of scale before each 32 codes.
        let found = blocks.withBytes { bytes in
          bytes.indices.filter { $0 % 34 >= 2 }.map { Int8(bitPattern: bytes[$0]) }
        }
        #expect(found == codes)
      }
    }

    /// A tensor of 1 GB passes through 400 MB of memory.
    @Test func aTensorLargerThanMemory() throws {
      try inWorkplace { place in
        let count = 1 << 28
        let header =
          #"{"w":{"dtype":"F32","shape":[\#(count / 4096),4096],"data_offsets":[0,\#(count * 4)]}}"#
        var bytes = withUnsafeBytes(of: UInt64(header.utf8.count).littleEndian, Array.init)
        bytes += Array(header.utf8)
        try Data(bytes).write(to: URL(filePath: place.path("a.safetensors")))
        let file = try FileHandle(forUpdating: URL(filePath: place.path("a.safetensors")))
        // The numbers are a hole in the file: zeros that take no room.
        try file.truncate(atOffset: UInt64(bytes.count + count * 4))
        for output in ["b.safetensors", "b.kcf"] {
          let outcome = try place.karat(
            "convert",
            "a.safetensors",
            output,
            "--dtype",
            "f16",
            shell: "ulimit -d 400000;"
          )
          #expect(outcome.status == 0, "\(outcome.errors)")
        }
        #expect(try root("b.safetensors", in: place) == root("b.kcf", in: place))
      }
    }
  }
}
