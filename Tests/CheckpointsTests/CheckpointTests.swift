import Foundation
import KaratCheckpoints
import KaratTensors
import Testing

@Suite struct CheckpointTests {
  private func refusal(_ path: String, in folder: String) -> String? {
    message(in: folder) { _ = try Checkpoint.open(path: path) }
  }

  @Test func tellsFormatsByTheirBytes() throws {
    try inTemporaryFolder { (folder) throws in
      for (file, name) in [
        ("hostile/safetensors/S06-trailing-space-ok.safetensors", "model.gguf"),
        ("hostile/gguf/G01-v3-ok.gguf", "model.bin"),
      ] {
        let path = "\(folder)/\(name)"
        try write(try read(fixture(file)), to: path)
        let source = try Checkpoint.open(path: path)
        #expect(source.manifest.count == 1)
      }
      #expect(try Checkpoint.format(of: "\(folder)/model.gguf").name == "safetensors")
      #expect(try Checkpoint.format(of: "\(folder)/model.bin").name == "gguf")
    }
  }

  @Test func opensTheOneCheckpointOfAFolder() throws {
    try inTemporaryFolder { (folder) throws in
      #expect(
        refusal(folder, in: folder)
          == "\(folder): this folder holds no file that ends in .gguf, .kcf, .safetensors, .bin, .pt"
          + " or .pth."
      )
      let bytes = try read(fixture("hostile/safetensors/S06-trailing-space-ok.safetensors"))
      try write(bytes, to: "\(folder)/weights.safetensors")
      #expect(refusal(folder, in: folder) == nil)
      try write(bytes, to: "\(folder)/other.safetensors")
      #expect(
        refusal(folder, in: folder)
          == "\(folder): this folder holds 2 checkpoints and no model.safetensors.index.json. Name"
          + " one of them: other.safetensors, weights.safetensors."
      )
      let archive = try read(fixture("checkpoints/torch-saved.bin"))
      try write(archive, to: "\(folder)/pytorch_model.bin")
      #expect(try Checkpoint.open(path: folder) is TorchReader)
      #expect(try Checkpoint.format(of: folder).name == "pytorch")
      try write(bytes, to: "\(folder)/model.safetensors")
      #expect(try Checkpoint.open(path: folder) is SafetensorsReader)
    }
  }

  @Test func refusesWhatIsNoCheckpoint() throws {
    try inTemporaryFolder { (folder) throws in
      #expect(
        refusal("\(folder)/none", in: folder)
          == "none: it cannot be opened: no such file or directory (2). Check the path."
      )
      try write([], to: "\(folder)/empty")
      #expect(
        refusal("\(folder)/empty", in: folder)
          == "empty: it is empty; no known format does. Known are: gguf, kcf, safetensors,"
          + " pytorch."
      )
      try write(Array("\u{7f}ELF and more".utf8), to: "\(folder)/program")
      #expect(
        refusal("\(folder)/program", in: folder)
          == "program: it starts with the bytes 7f 45 4c 46 20 61 6e 64; no known format does. Known"
          + " are: gguf, kcf, safetensors, pytorch."
      )
      #expect(mkfifo("\(folder)/pipe", 0o600) == 0)
      #expect(
        refusal("\(folder)/pipe", in: folder)
          == "pipe: this is a pipe, a device or a socket; a regular file was needed. Copy it to a"
          + " file first."
      )
      try FileManager.default.createDirectory(
        atPath: "\(folder)/model/model.safetensors",
        withIntermediateDirectories: true
      )
      #expect(
        refusal("\(folder)/model", in: folder)
          == "model/model.safetensors: this is a folder; a file was needed."
      )
      #expect(
        message(in: folder) { _ = try SafetensorsReader("\(folder)/model") }
          == "model: this is a folder; a file was needed."
      )
    }
  }

  @Test func namesEveryFormatOnce() {
    let names = CheckpointFormat.all.map(\.name)
    #expect(Set(names).count == names.count)
    let extensions = CheckpointFormat.all.flatMap(\.fileExtensions)
    #expect(Set(extensions).count == extensions.count)
  }
}
