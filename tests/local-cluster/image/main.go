// Writes a container image of one static program, without a daemon, a base image or a network.
//
//	podfit-image --program FILE --name localhost/podfit-webhook:0.1.0 --output FILE [--entrypoint /podfit-webhook]
//	             [--user 65532:65532] [--label KEY=VALUE]...
//
// The archive is an OCI image layout that also carries Docker's manifest.json, so `ctr images import`, `docker load`,
// `podman load` and `skopeo copy oci-archive:` all take it. Inside: the program, /etc/passwd and /etc/group with a user
// that is not root, and a /tmp. Equal input gives an equal archive: there are no dates and no names of this machine.
package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"os"
	"path"
	"runtime"
	"strings"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("podfit-image: ")
	program := flag.String("program", "", "the static program to put in")
	name := flag.String("name", "", "the image's name and tag")
	output := flag.String("output", "", "the archive to write")
	entrypoint := flag.String("entrypoint", "", "the program's path in the image (default: / and the file's name)")
	user := flag.String("user", "65532:65532", "user and group that the program runs as")
	labels := map[string]string{}
	flag.Func("label", "a label KEY=VALUE of the image; may be repeated", func(text string) error {
		key, value, found := strings.Cut(text, "=")
		if !found {
			return fmt.Errorf("%q is not KEY=VALUE", text)
		}
		labels[key] = value
		return nil
	})
	flag.Parse()
	if *program == "" || *name == "" || *output == "" {
		flag.Usage()
		os.Exit(2)
	}
	if *entrypoint == "" {
		*entrypoint = "/" + path.Base(*program)
	}
	code, err := os.ReadFile(*program)
	if err != nil {
		log.Fatal(err)
	}
	archive, err := image(*name, layer(*entrypoint, code), config{Entrypoint: []string{*entrypoint}, User: *user, WorkingDir: "/", Labels: labels})
	if err != nil {
		log.Fatal(err)
	}
	if err := os.WriteFile(*output, archive, 0o644); err != nil {
		log.Fatal(err)
	}
}

// config is the part of an image's configuration that a container starts with (OCI image-spec, config.md).
type config struct {
	Entrypoint []string
	User       string
	WorkingDir string
	Labels     map[string]string `json:",omitempty"`
}

type descriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      string            `json:"digest"`
	Size        int               `json:"size"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

// layer is the image's only layer, a tar of its files.
func layer(entrypoint string, program []byte) []byte {
	return archive([]file{
		{name: "etc/", mode: 0o755},
		{name: "etc/passwd", mode: 0o644, data: []byte("root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/:/sbin/nologin\n")},
		{name: "etc/group", mode: 0o644, data: []byte("root:x:0:\nnonroot:x:65532:\n")},
		{name: "tmp/", mode: 0o1777},
		{name: strings.TrimPrefix(entrypoint, "/"), mode: 0o755, data: program},
	})
}

// image puts layer and configuration into an archive that is an OCI layout and a docker-save archive at once.
func image(name string, layer []byte, c config) ([]byte, error) {
	packed := compress(layer)
	settings, err := json.Marshal(map[string]any{
		"architecture": runtime.GOARCH, "os": "linux", "config": c,
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{digest(layer)}},
	})
	if err != nil {
		return nil, err
	}
	manifest, err := json.Marshal(map[string]any{
		"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
		"config": describe("application/vnd.oci.image.config.v1+json", settings),
		"layers": []descriptor{describe("application/vnd.oci.image.layer.v1.tar+gzip", packed)},
	})
	if err != nil {
		return nil, err
	}
	entry := describe("application/vnd.oci.image.manifest.v1+json", manifest)
	_, tag, _ := strings.Cut(path.Base(name), ":")
	entry.Annotations = map[string]string{"io.containerd.image.name": name, "org.opencontainers.image.ref.name": tag}
	index, err := json.Marshal(map[string]any{
		"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": []descriptor{entry},
	})
	if err != nil {
		return nil, err
	}
	docker, err := json.Marshal([]map[string]any{{"Config": blob(settings), "RepoTags": []string{name}, "Layers": []string{blob(packed)}}})
	if err != nil {
		return nil, err
	}
	return archive([]file{
		{name: "oci-layout", mode: 0o644, data: []byte(`{"imageLayoutVersion":"1.0.0"}`)},
		{name: "index.json", mode: 0o644, data: index},
		{name: "manifest.json", mode: 0o644, data: docker},
		{name: "blobs/", mode: 0o755},
		{name: "blobs/sha256/", mode: 0o755},
		{name: blob(manifest), mode: 0o644, data: manifest},
		{name: blob(settings), mode: 0o644, data: settings},
		{name: blob(packed), mode: 0o644, data: packed},
	}), nil
}

// file is one entry of an archive; a name that ends in a slash is a folder.
type file struct {
	name string
	mode int64
	data []byte
}

// archive never fails: it writes to memory, and the headers are made here.
func archive(files []file) []byte {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, f := range files {
		header := tar.Header{Name: f.name, Mode: f.mode, Size: int64(len(f.data)), Typeflag: tar.TypeReg}
		if strings.HasSuffix(f.name, "/") {
			header.Typeflag = tar.TypeDir
		}
		must(w.WriteHeader(&header))
		_, err := w.Write(f.data)
		must(err)
	}
	must(w.Close())
	return out.Bytes()
}

func compress(data []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, err := w.Write(data)
	must(err)
	must(w.Close())
	return out.Bytes()
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func digest(data []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(data)) }

func blob(data []byte) string { return fmt.Sprintf("blobs/sha256/%x", sha256.Sum256(data)) }

func describe(mediaType string, data []byte) descriptor {
	return descriptor{MediaType: mediaType, Digest: digest(data), Size: len(data)}
}
