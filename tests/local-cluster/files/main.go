// Serves a folder over HTTP: Prometheus reads the metrics that a test writes to a file there.
//
//	podfit-files --address 127.66.0.11:8000 --folder FOLDER
package main

import (
	"flag"
	"log"
	"net/http"
)

func main() {
	address := flag.String("address", "127.0.0.1:8000", "where to listen")
	folder := flag.String("folder", ".", "what to serve")
	flag.Parse()
	log.Fatal(http.ListenAndServe(*address, http.FileServer(http.Dir(*folder))))
}
